import NodeEnvironment from "jest-environment-node";

/** Where one test has failed, the others of its file are not run (jest's own --bail ends no file). */
export default class FirstFailure extends NodeEnvironment {
  private hasFailed = false;

  handleTestEvent(event: { readonly name: string; readonly test?: { mode?: string | null | undefined } }): void {
    if (event.name === "test_fn_failure" || event.name === "hook_failure") this.hasFailed = true;
    if (event.name === "test_start" && this.hasFailed && event.test) event.test.mode = "skip";
  }
}

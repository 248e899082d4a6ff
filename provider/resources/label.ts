import * as pulumi from "@pulumi/pulumi";

/** What every resource tells its provider about itself, since no URN reaches a dynamic provider. */
export function identity(name: string): { label: { project: string; stack: string; name: string }; dryRun: boolean } {
  const project = `${organization()}/${pulumi.getProject()}`;
  return { label: { project, stack: pulumi.getStack(), name }, dryRun: pulumi.runtime.isDryRun() };
}

/** Under `setMocks` there is none unless it is given, and then the SDK throws; a user's unit test should not have to know. */
function organization(): string {
  try {
    return pulumi.getOrganization();
  } catch {
    return "organization";
  }
}

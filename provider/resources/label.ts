import * as pulumi from "@pulumi/pulumi";

/** What every resource tells its provider about itself, since no URN reaches a dynamic provider. */
export function identity(name: string): { label: { project: string; stack: string; name: string }; dryRun: boolean } {
  const project = `${pulumi.getOrganization()}/${pulumi.getProject()}`;
  return { label: { project, stack: pulumi.getStack(), name }, dryRun: pulumi.runtime.isDryRun() };
}

import { randomUUID } from "node:crypto";
import * as pulumi from "@pulumi/pulumi";

/** What a resource tells its provider about itself. */
export interface Identity {
  readonly label: { readonly project: string; readonly stack: string; readonly name: string };
  readonly dryRun: boolean;
  /** Which object of this program it is; another one in each run. Not kept. */
  readonly instance: string;
}

/** What every resource tells its provider about itself, since no URN reaches a dynamic provider. */
export function identity(name: string): Identity {
  const project = `${organization()}/${pulumi.getProject()}`;
  const label = { project, stack: pulumi.getStack(), name };
  return { label, dryRun: pulumi.runtime.isDryRun(), instance: randomUUID() };
}

/** Under `setMocks` there is none unless it is given, and then the SDK throws; a user's unit test should not have to know. */
function organization(): string {
  try {
    return pulumi.getOrganization();
  } catch {
    return "organization";
  }
}

/** Who a resource is, as its constructor says it. No URN reaches a dynamic provider. */
export interface Label {
  readonly project: string;
  readonly stack: string;
  readonly name: string;
}

/** For sentences: `project/stack/name`. */
export const labelText = ({ project, stack, name }: Label): string => `${project}/${stack}/${name}`;

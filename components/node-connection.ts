import * as pulumi from "@pulumi/pulumi";
import type { ConnectionRef } from "../provider/model/connection";
import { type DeepInput, isAtHand } from "../provider/resources/deep-input";

type Part = DeepInput<Partial<ConnectionRef>>;

/** What a node's connection names itself over what all nodes have in common, and over this host. */
export function nodeConnection(
  host: pulumi.Input<string>,
  common: Part = {},
  own: Part = {},
): DeepInput<ConnectionRef> {
  if (isAtHand(common) && isAtHand(own)) return { host, ...common, ...own };
  return pulumi.all([host, common, own]).apply(([address, below, above]) => ({ host: address, ...below, ...above }));
}

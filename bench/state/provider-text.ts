import * as pulumi from "@pulumi/pulumi";
import { EgressGateway, EgressPolicy, NodeMark } from "../../provider";

/** The text of each resource's provider as the SDK serializes it into inputs and outputs, by type. */
export async function providerTexts(): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>();
  await pulumi.runtime.setMocks({
    newResource: ({ type, inputs }) => {
      texts.set(type, (inputs as { readonly __provider: string }).__provider);
      return { id: "made", state: inputs as Record<string, unknown> };
    },
    call: ({ inputs }) => inputs as Record<string, unknown>,
  });
  const connection = { host: "192.168.0.11" };
  const registry = { node: "node", connection };
  const ignore = { pods: [], services: [], nodes: [] };
  const mark = new NodeMark("node", {
    node: "node",
    fleet: { name: "fleet", registry, ignore },
    connection,
    underlayIP: connection.host,
  });
  const gateway = new EgressGateway("gateway", { gateways: [mark], egressIPs: ["192.168.0.200"] });
  const policy = new EgressPolicy("policy", { gateway, sources: { cidrs: ["10.0.0.1"] } });
  await Promise.all([mark, gateway, policy].map(({ urn }) => new Promise((done) => urn.apply(done))));
  return texts;
}

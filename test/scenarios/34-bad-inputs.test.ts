import { execOk } from "../lab";
import { fleetOf, gatewayOf, policyOf } from "../operator/program";
import type { AnyStack, Declared } from "../operator/stack";
import { addressesOf, scenario } from "./scenario";

const EGRESS = "192.168.0.200";

/** A resource of a program with other inputs. */
function withInputs(
  program: readonly Declared[],
  name: string,
  change: (inputs: Record<string, unknown>) => object,
): Declared[] {
  return program.map((one) =>
    one.name === name
      ? { ...one, inputs: (outputs) => ({ ...one.inputs(outputs), ...change(one.inputs(outputs)) }) }
      : one,
  );
}

/** The fields that a preview refuses, in its own order, each once. */
async function refused(stack: AnyStack, program: readonly Declared[], name: string): Promise<string[]> {
  const message = await stack.preview(program).then(
    () => "",
    (error: Error) => error.message,
  );
  const fields = message
    .split("\n")
    .flatMap((line) => (line.startsWith(`${name}: `) ? [line.split(": ")[1] ?? ""] : []));
  return [...new Set(fields)];
}

scenario("a preview refuses every bad input of a resource at once and names its field", {}, async ({ lab, stack }) => {
  const program = [
    ...fleetOf(lab),
    gatewayOf(lab, "gateway", [EGRESS]),
    policyOf("policy", "gateway", addressesOf(lab, ["pod-client-1-1"])),
  ];
  const node = withInputs(program, "client-1", ({ fleet }) => ({
    node: "client 1",
    underlayIP: "fe80::1",
    mark: "0x27000100",
    fleet: { ...(fleet as object), tunnelPort: 70_000, vni: "4097", registry: undefined },
    connection: { host: "192.168.0.11", privateKey: "-----BEGIN OPENSSH PRIVATE KEY-----\nabc" },
  }));
  expect(await refused(stack, node, "client-1")).toEqual([
    "connection.privateKey",
    "fleet.registry",
    "fleet.tunnelPort",
    "fleet.vni",
    "mark",
    "node",
    "underlayIP",
  ]);

  // The engine comes to either first.
  const two = program.slice(0, 2);
  const others = withInputs(two, two[1]?.name ?? "", ({ fleet }) => ({ fleet: { ...(fleet as object), vni: 4098 } }));
  const [first, second] = two.map(({ name }) => name);
  await expect(stack.preview(others)).rejects.toThrow(
    new RegExp(
      `(${first}|${second}): fleet: fleet "lab" has other settings here than in (?!\\1)(${first}|${second}) \\(\\2\\)\\.`,
    ),
  );

  const gateway = withInputs(program, "gateway", () => ({
    egressIPs: ["192.168.0.200", "192.168.0.300", "10.0.1.0/24", "2001:db8::1"],
    placement: { [EGRESS]: "client-9" },
    onTunnelLoss: "dorp",
    inbounds: "allow",
  }));
  expect(await refused(stack, gateway, "gateway")).toEqual([
    "egressIPs[1]",
    "egressIPs[2]",
    "egressIPs[3]",
    "inbounds",
    "onTunnelLoss",
    'placement["192.168.0.200"]',
  ]);

  const policy = withInputs(program, "policy", () => ({
    sources: { cidrs: [], namespace: "default" },
    destinations: { cidrs: ["203.0.113.0/24", "203.0.113.7/24", "::/0"], except: ["10.0.0.0/33"] },
    egressIP: "192.168.0.201",
    allocation: "random",
    established: "close",
  }));
  expect(await refused(stack, policy, "policy")).toEqual([
    "allocation",
    "destinations.cidrs[1]",
    "destinations.cidrs[2]",
    "destinations.except[0]",
    "egressIP",
    "established",
    "sources.cidrs",
    "sources.namespace",
  ]);

  // What stands on a node is judged like an input.
  const rule = (verb: "add" | "del") =>
    execOk(lab, "client-1", ["ip", "rule", verb, "pref", "100", "from", "10.0.1.0/24", "lookup", "main"]);
  await rule("add");
  expect(await refused(stack, program, "client-1")).toEqual(["fleet.rulePreference"]);
  await rule("del");
  expect(await refused(stack, program, "client-1")).toEqual([]);
});

import { connectionConstants } from "../../../provider/compile/bpf-connections";

const NODE = { fleet: { tunnelPort: 4790 } };
const words = (place: Parameters<typeof connectionConstants>[1]) =>
  Object.values(connectionConstants(NODE, place)).map(({ value }) => value);

test.each([
  ["a device of the node", { device: "eth0" }, 0, "0.0.0.0"],
  ["a client's device", { device: "cali1", isClient: true }, 1, "0.0.0.0"],
  ["a gateway pod's device", { device: "cali2", gatewayPod: "10.0.2.20" }, 2, "10.0.2.20"],
])("%s has its flags and addresses, and is not traced", (_, place, flags, pod) => {
  expect(words(place)).toEqual([flags, pod, 4790, 0]);
});

test("a pod can't be a client and a gateway: the device and the pod are named, and a way out", () => {
  expect(() => connectionConstants(NODE, { device: "cali2", isClient: true, gatewayPod: "10.0.2.20" })).toThrow(
    "device cali2: its pod 10.0.2.20 is a gateway pod and a client of one, which would send its packets in a circle. Take 10.0.2.20 out of the policy's sources, or let another pod be the gateway.",
  );
});

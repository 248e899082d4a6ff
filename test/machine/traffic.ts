import type { Fleet, Host } from "./fleet";
import { OUTSIDE, POD } from "./fleet";

/** What came of a ping, of test/bpf/talk.py's call, and of datagrams of one socket, of which the long ones are fragments. */
export interface Talk {
  readonly pings: number;
  readonly call: unknown;
  /** By which port each datagram came to the outside. */
  readonly ports: readonly (number | null)[];
}

/** Checksums in captured packets, as tcpdump judges them: how many are right, and the lines of those that are not. */
export interface Sums {
  readonly right: number;
  readonly wrong: readonly string[];
}

const START = `setsid tcpdump -Z root -n -U -B 8192 FILTER -i eth0 -w /tmp/seen.pcap > /tmp/seen.log 2>&1 < /dev/null &
echo $! > /tmp/seen.pid
for i in $(seq 200); do grep -q 'listening on' /tmp/seen.log && exit 0; sleep 0.05; done
cat /tmp/seen.log >&2; exit 1
`;
// What is cut by the capture or quoted by an ICMP error has no checksum of its own.
const END = `sleep 0.5; kill $(cat /tmp/seen.pid); sleep 0.5
tcpdump -Z root -n -vv -T vxlan -r /tmp/seen.pcap > /tmp/seen.txt || exit 1
echo $(grep -c -e '(correct)' -e 'udp sum ok' -e 'ICMP echo' /tmp/seen.txt)
grep -iE 'incorrect|bad .*cksum|wrong' /tmp/seen.txt | head -5; :
`;

/** Runs an act while what comes to the ends, and what is in the tunnel, is captured. */
export async function captured<T>(fleet: Fleet, act: () => Promise<T>): Promise<{ said: T; sums: Map<Host, Sums> }> {
  const places: readonly (readonly [Host, string])[] = [
    ["pod", "-Q in"],
    ["outside", "-Q in"],
    ["client-1", "udp port 4790"],
  ];
  // tcpdump takes its filter last; a direction is an option.
  for (const [host, what] of places) {
    const [option, filter] = what.startsWith("-") ? [what, ""] : ["", what];
    await fleet.on(host, START.replace("FILTER", option).replace("-w /tmp/seen.pcap", `-w /tmp/seen.pcap ${filter}`));
  }
  const said = await act();
  const sums = new Map<Host, Sums>();
  for (const [host] of places) {
    const [right, ...wrong] = (await fleet.on(host, END)).trim().split("\n");
    sums.set(host, { right: Number(right), wrong });
  }
  return { said, sums };
}

/** All kinds of traffic from the pod to the outside and back. `port`: of the datagrams. */
export async function talk(fleet: Fleet, port: number): Promise<Talk> {
  const pings = await fleet.on("pod", `ping -c 3 -i 0.3 -W 3 ${OUTSIDE} | grep -c 'bytes from'; :`);
  const call = JSON.parse(await fleet.on("pod", "EGW_PATIENCE=30 timeout 120 python3 /talk.py call"));
  const ports = JSON.parse(await fleet.on("pod", `timeout 60 python3 /talk.py send ${POD} ${port} 10 3000 10`));
  return { pings: Number(pings), call, ports };
}

/** What the stacks of the hosts have counted as broken so far, `host counter count`. */
export async function broken(fleet: Fleet): Promise<string[]> {
  const found: string[] = [];
  for (const host of ["pod", "outside", "client-1", "gateway-1"] as const) {
    const said = await fleet.on(
      host,
      "nstat -asz | awk '/InCsumErrors|IpInHdrErrors|IpInTruncatedPkts/ && $2 > 0 { print $1, $2 }'",
    );
    found.push(
      ...said
        .split("\n")
        .filter(Boolean)
        .map((line) => `${host} ${line}`),
    );
  }
  return found;
}

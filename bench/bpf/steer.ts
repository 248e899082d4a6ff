import * as os from "node:os";
import { execOk, type Lab } from "../../test/lab";

/**
 * From now on each flow has a core of its own at every device (receive packet steering, kernel: networking/scaling), as cards with several
 * queues give it. Else what the sender's core and the core of the acknowledgements send overtake each other.
 */
export async function steerFlows(lab: Lab): Promise<void> {
  const mask = (2 ** os.cpus().length - 1).toString(16);
  const script = `mount -t sysfs sysfs /sys; for f in /sys/class/net/*/queues/rx-*/rps_cpus; do echo ${mask} > $f; done`;
  const hosts = [...lab.hosts, ...lab.pods].map(({ name }) => name);
  await Promise.all(hosts.map((host) => execOk(lab, host, ["unshare", "--mount", "sh", "-c", script])));
}

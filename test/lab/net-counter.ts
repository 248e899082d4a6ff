/** A counter of `/proc/net/snmp` or `/proc/net/netstat`: a line of names, then one of values, each behind its kind. */
export function netCounter(text: string, kind: string, name: string): number {
  const lines = text.split("\n").filter((line) => line.startsWith(`${kind}: `));
  const [names = [], values = []] = lines.map((line) => line.split(" "));
  const value = values[names.indexOf(name)];
  if (value === undefined) throw new Error(`no counter ${kind} ${name}`);
  return Number(value);
}

import { ENABLED, FILE } from "../../../provider/program/files";
import type { Tamper } from "./tamper";

const STATE = "/var/lib/pulumi-egress";
/** Without it a node's legs are not known either; that is a scenario of its own (61). */
const NODE_FILE = "node.json";

/** What somebody does to files of ours, and what the owner of the node's enrolment is told. */
export function fileTampers(names: readonly string[], owner: string): Tamper[] {
  const told = (how: "missing" | "changed" | "extra", what: string, script: string): Tamper => ({
    how,
    what,
    script,
    told: [{ owner, line: `${how.padEnd(8)} ${FILE} ${what}`, where: `${FILE} ${what}` }],
  });
  const pathOf = (name: string): string => (name.startsWith("/") ? name : `${STATE}/${name}`);
  // A line more leaves the one readable, the other not.
  const more = (name: string): string => (name === NODE_FILE ? "echo" : "echo '#'");
  return [
    ...names.filter((name) => name !== NODE_FILE).map((name) => told("missing", name, `rm ${pathOf(name)}`)),
    ...names.filter((name) => name !== ENABLED).map((name) => told("changed", name, `${more(name)} >>${pathOf(name)}`)),
    told("extra", "restore/by-hand", `echo >${STATE}/restore/by-hand`),
  ];
}

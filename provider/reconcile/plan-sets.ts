import { addMember, createSet, destroySet, type IpSet, removeMember, type SetMember } from "../kernel/ipset";
import type { KernelObject } from "../kernel/state";
import { type Changes, ofKind } from "./changes";
import { type Step, step } from "./step";

/** Sets that select more than before: new ones, new members, exceptions that go. */
export function growSets({ added, removed }: Changes): Step[] {
  const created = ofKind(added, "ipset");
  const wrong = ofKind(removed, "ipset").filter((set) => created.some(({ name }) => name === set.name));
  const isSwapped = (set: IpSet): boolean =>
    [wrong, created].every((sets) => sets.some(({ name, type }) => name === set.name && type === set.type));
  const fresh = new Set(created.map(({ name }) => name));
  const members = ofKind(added, "ipset-member").filter((member) => !member.nomatch || fresh.has(member.set));
  const exceptions = ofKind(removed, "ipset-member").filter((member) => member.nomatch && !goesWhole(removed, member));
  return step(
    "ipset",
    [
      ...created.filter(isSwapped).flatMap((set) => swapIn(set, added)),
      ...wrong.filter((set) => !isSwapped(set)).map(destroySet),
      ...created.filter((set) => !isSwapped(set)).map(createSet),
      ...exceptions.map(removeMember),
      ...members.map(addMember),
    ],
    [
      ...members.filter((member) => !fresh.has(member.set)).map(removeMember),
      ...exceptions.map(addMember),
      ...created.filter((set) => !isSwapped(set)).flatMap((set) => [`flush ${set.name}`, destroySet(set)]),
      ...wrong
        .filter((set) => !isSwapped(set))
        .flatMap((set) => [createSet(set), ...membersOf(set, removed).map(addMember)]),
      ...wrong.filter(isSwapped).flatMap((set) => swapIn(set, removed)),
    ],
  );
}

const SPARE = "egw-spare";

/** Rules go on naming a set while another takes its place; both have to be of one type (kernel: ip_set_swap). */
function swapIn(set: IpSet, objects: readonly KernelObject[]): string[] {
  const spare = { ...set, name: SPARE };
  const members = membersOf(set, objects).map((member) => addMember({ ...member, set: SPARE }));
  return [destroySet(spare), createSet(spare), ...members, `swap ${SPARE} ${set.name}`, destroySet(spare)];
}

const membersOf = ({ name }: IpSet, objects: readonly KernelObject[]): SetMember[] =>
  ofKind(objects, "ipset-member").filter((member) => member.set === name);

/** Sets that select less than before: members that go, new exceptions, sets that nothing names any more. */
export function shrinkSets({ added, removed }: Changes): Step[] {
  const created = ofKind(added, "ipset").map(({ name }) => name);
  const gone = ofKind(removed, "ipset").filter((set) => !created.includes(set.name));
  const exceptions = ofKind(added, "ipset-member").filter((member) => member.nomatch && !created.includes(member.set));
  const members = ofKind(removed, "ipset-member");
  const leaving = members.filter((member) => !member.nomatch && !goesWhole(removed, member));
  return step(
    "ipset",
    [...leaving.map(removeMember), ...exceptions.map(addMember), ...gone.map(destroySet)],
    [
      ...gone.map(createSet),
      ...members.filter((member) => gone.some(({ name }) => name === member.set)).map(addMember),
      ...exceptions.map(removeMember),
      ...leaving.map(addMember),
    ],
  );
}

/** Members of a set that goes go with it. */
const goesWhole = (removed: readonly KernelObject[], { set }: SetMember): boolean =>
  removed.some((o) => o.kind === "ipset" && o.name === set);

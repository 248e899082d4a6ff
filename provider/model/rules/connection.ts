import type { Problem } from "../args";
import { type At, at, entries } from "../at";
import { hostKeyRule } from "./host-key";
import { hostNameRule } from "./host-name";
import { namespaceRule } from "./names";
import { secretReferenceRule } from "./secret-reference";

/** A connection and its jump host: how each is named, checked and logged in to. */
export function connectionRule(connection: At): Problem[] {
  return [...connectionPartRule(connection), ...loginRule(connection)];
}

/** The same for a part of a connection; whether the whole has a way to log in shows elsewhere. */
export function connectionPartRule(part: At): Problem[] {
  const proxy = at(part, "proxy");
  return [...[part, proxy].flatMap(hopRule), ...namespaceRule(at(part, "netns")), ...loginRule(proxy)];
}

function hopRule(hop: At): Problem[] {
  return [...secretReferenceRule(hop), ...hostNameRule(at(hop, "host")), ...hostKeyRule(at(hop, "hostKey"))];
}

const WAYS = ["privateKey", "agentSocketPath", "password"];

/** There is a way to log in. */
export function loginRule(hop: At): Problem[] {
  const given = entries(hop).filter(([, place]) => place.value !== undefined);
  if (given.length === 0 || given.some(([name]) => WAYS.includes(name))) return [];
  return [{ path: hop.path, message: "There is no way to log in. Give privateKey, agentSocketPath or password." }];
}

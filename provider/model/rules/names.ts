import type { Problem } from "../args";
import { type At, text } from "../at";
import { quote } from "../problem";
import { problemAt } from "./rule";

const LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?";
const DNS_LABEL = new RegExp(`^${LABEL}$`);
const DNS_SUBDOMAIN = new RegExp(`^${LABEL}(?:\\.${LABEL})*$`);
// What the kernel allows is more; this is what every tool takes as a plain word.
const DEVICE = /^[A-Za-z0-9_][A-Za-z0-9_.-]{0,14}$/;

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** What devices may be named. */
export const DEVICE_NAMES = "Use 1 to 15 letters, digits, dots, hyphens or underscores.";

/** True for the name of a network device that every tool takes as a plain word. */
export const isDeviceName = (name: string): boolean => DEVICE.test(name);

/** True for the name of a network namespace that is a plain word, and no path. */
const isNamespaceName = (name: string): boolean => NAMESPACE.test(name);

/** A node's name is a DNS name, as in Kubernetes. */
export function nodeNameRule(place: At): Problem[] {
  const name = text(place);
  if (name === undefined || (name.length <= 253 && DNS_SUBDOMAIN.test(name))) return [];
  return problemAt(
    place,
    `${quote(name)} is not a node name. Use lower case letters, digits, hyphens and dots, as Kubernetes does.`,
  );
}

/** A fleet's name is a DNS label. */
export function fleetNameRule(place: At): Problem[] {
  const name = text(place);
  if (name === undefined || DNS_LABEL.test(name)) return [];
  return problemAt(
    place,
    `${quote(name)} is not a fleet name. Use lower case letters, digits and hyphens, at most 63 characters.`,
  );
}

/** An uplink is a network device by its exact name. */
export function deviceNameRule(place: At): Problem[] {
  const name = text(place);
  if (name === undefined || isDeviceName(name)) return [];
  return problemAt(place, `${quote(name)} is not the name of a network device. ${DEVICE_NAMES}`);
}

/** A network namespace is named as `ip netns` and container runtimes do it. */
export function namespaceRule(place: At): Problem[] {
  const name = text(place);
  if (name === undefined || isNamespaceName(name)) return [];
  return problemAt(
    place,
    `${quote(name)} is not the name of a network namespace. Give its name in /run/netns: 1 to 64 letters, digits, dots, hyphens or underscores, a letter or digit first.`,
  );
}

/** An owner id is the kind of its resource and a UUID. */
export function ownerIdRule(place: At, kind: string): Problem[] {
  const id = text(place);
  if (id === undefined || (id.startsWith(`${kind}-`) && UUID.test(id.slice(kind.length + 1)))) return [];
  return problemAt(
    place,
    `${quote(id)} is not the id of a ${kind}, "${kind}-UUID". Give the one that its ref output has.`,
  );
}

import { validateEgressGateway, validateEgressPolicy, validateNodeMark } from "../../../provider/model/validate";
import { allPaths, type Path, valueAt, withValue } from "./edit";
import { egressGateway, egressPolicy, nodeMark } from "./inputs";

const validators = [
  ["NodeMark", validateNodeMark, nodeMark],
  ["EgressGateway", validateEgressGateway, egressGateway],
  ["EgressPolicy", validateEgressPolicy, egressPolicy],
] as const;

/** Objects with names of the user's own. */
const MAPS = ["placement", "gateway.placement", "gateway.nodes"];

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

test.each(validators)("%s: no object takes a property that it does not have", (_, validate, input) => {
  const objects = allPaths(input).filter((path) => isObject(valueAt(input, path)) && !MAPS.includes(path.join(".")));
  const accepted = objects.filter((path) => validate(withValue(input, [...path, "unexpected"], 1)).length === 0);
  expect(accepted).toEqual([]);
});

const nodeRef = ["node", "fleet", "index", "underlayIP", "uplink", "ignore", "registry", "connection"];
const registry = ["node", "connection", "connection.host"].map((property) => `registry.${property}`);

const required = {
  NodeMark: [
    ...["node", "fleet", "connection", "underlayIP", "connection.host", "connection.proxy.host"],
    ...["name", "registry", "ignore", "ignore.pods", "ignore.services", "ignore.nodes", ...registry].map(
      (p) => `fleet.${p}`,
    ),
  ],
  EgressGateway: [
    "gateways",
    "egressIPs",
    ...[...nodeRef, ...registry, "connection.host"].map((p) => `gateways.0.${p}`),
  ],
  EgressPolicy: [
    ...["gateway", "sources", "sources.cidrs"],
    ...["id", "name", "fleet", "egressIPs", "placement", "ignore", "nodes", "connection"].map((p) => `gateway.${p}`),
  ],
};

test.each(validators)("%s: what is required is required", (name, validate, input) => {
  const paths = required[name].map((text): Path => text.split("."));
  expect(paths.filter((path) => valueAt(input, path) === undefined)).toEqual([]);
  expect(paths.filter((path) => validate(withValue(input, path, undefined)).length === 0)).toEqual([]);
});

test.each(validators)("%s: all else is optional", (name, validate, input) => {
  const given = allPaths(input).filter((path) => path.length > 0 && typeof path.at(-1) === "string");
  const refused = given.filter((path) => validate(withValue(input, path, undefined)).length > 0);
  const demanded = refused
    .map((path) => path.join("."))
    .filter((path) => !path.startsWith("clients") && !path.startsWith("gateways.1"));
  // In a first connection every way to log in but one may be missing; a jump host has one only.
  const login = demanded.filter((path) => path.endsWith("proxy.privateKey"));
  const elsewhere = demanded.filter((path) => /connection\.proxy\.host$|connection\.host$/.test(path));
  // A node that holds an egress IP.
  const holders = demanded.filter((path) => path.startsWith("gateway.nodes."));
  const allowed = new Set([...required[name], ...login, ...elsewhere, ...holders]);
  expect(demanded.filter((path) => !allowed.has(path))).toEqual([]);
});

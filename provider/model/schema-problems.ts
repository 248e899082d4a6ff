import Ajv, { type AnySchemaObject, type ErrorObject, type SchemaObject, type ValidateFunction } from "ajv";
import { type Problem, UNKNOWN } from "./args";
import { type At, at } from "./at";
import { didYouMean } from "./did-you-mean";
import { listOf, quote } from "./problem";
import { SECRET_PROPERTIES } from "./rules/secret-reference";

const ajv = new Ajv({ allErrors: true, verbose: true, allowUnionTypes: true });
const compiled = new Map<SchemaObject, ValidateFunction>();

/** What a schema finds at a place, in sentences. A value that is unknown is never a problem. */
export function schemaProblems(schema: SchemaObject, place: At): Problem[] {
  const check = compiled.get(schema) ?? ajv.compile(schema);
  compiled.set(schema, check);
  if (check(place.value)) return [];
  return (check.errors ?? []).filter((error) => error.data !== UNKNOWN).map((error) => translate(place, error));
}

function translate(root: At, error: ErrorObject): Problem {
  const keys = error.instancePath
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const place = at(root, ...keys);
  const schema = error.parentSchema ?? {};
  switch (error.keyword) {
    case "required": {
      const name = String(error.params.missingProperty);
      return { path: at(place, name).path, message: `This is required. Give ${described(schema.properties?.[name])}.` };
    }
    case "additionalProperties": {
      const name = String(error.params.additionalProperty);
      return { path: at(place, name).path, message: unknownProperty(name, Object.keys(schema.properties ?? {})) };
    }
    default:
      return {
        path: place.path,
        message: `${complaint(error, keys.at(-1) ?? "")}. Give ${described(schema)}.${suggestion(error)}`,
      };
  }
}

function complaint(error: ErrorObject, name: string): string {
  const value = SECRET_PROPERTIES.has(name) ? "The value" : quote(error.data);
  switch (error.keyword) {
    case "type":
      return `${value} is not ${NOUNS[String(error.params.type)] ?? "of the right type"}`;
    case "minimum":
    case "maximum":
      return `${value} is out of range`;
    case "enum":
      return `${value} is not one of the choices`;
    case "minItems":
      return "The list is empty";
    case "minLength":
      return "The text is empty";
    default:
      return `${value} is not allowed here`;
  }
}

const NOUNS: Readonly<Record<string, string>> = {
  string: "a text",
  integer: "a whole number",
  boolean: "true or false",
  array: "a list",
  object: "an object",
};

function suggestion(error: ErrorObject): string {
  if (error.keyword !== "enum" || typeof error.data !== "string") return "";
  return didYouMean(error.data, error.params.allowedValues as string[]);
}

function unknownProperty(name: string, known: readonly string[]): string {
  return `There is no such property.${didYouMean(name, known) || ` Known here: ${listOf(known, "and", 20)}.`}`;
}

function described(schema: AnySchemaObject | undefined): string {
  return String(schema?.description ?? "another value");
}

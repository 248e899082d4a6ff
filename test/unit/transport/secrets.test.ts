import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { expandHome } from "../../../provider/transport/expand-home";
import { createSecretResolver } from "../../../provider/transport/secrets";

const asked: string[] = [];
const config: Record<string, string> = { "egress:key": "from config", "shared:key": "from another namespace" };
const resolve = createSecretResolver((key) => {
  asked.push(key);
  return config[key];
});

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "egw-secrets-"));
  writeFileSync(join(dir, "key"), "from file\n");
  writeFileSync(join(dir, "empty"), "\n");
  process.env.EGW_TEST_SECRET = "from env\r\n";
});
afterAll(() => {
  rmSync(dir, { recursive: true });
  delete process.env.EGW_TEST_SECRET;
});

test("each form is resolved, without a final line end", async () => {
  expect(await resolve("config:key")).toBe("from config");
  expect(await resolve("config:egress:key")).toBe("from config");
  expect(await resolve("config:shared:key")).toBe("from another namespace");
  expect(await resolve(`file:${dir}/key`)).toBe("from file");
  expect(await resolve("env:EGW_TEST_SECRET")).toBe("from env");
  expect(asked).toEqual(["egress:key", "egress:key", "shared:key"]);
});

test("~ is the home directory", () => {
  expect(expandHome("~/.ssh/id")).toBe(join(homedir(), ".ssh/id"));
  expect(expandHome("~")).toBe(homedir());
  expect(expandHome("/a/~")).toBe("/a/~");
});

test.each([
  ["config:none", "config:none is not set; run pulumi config set --secret egress:none < keyfile"],
  ["config:egress:none", "config:egress:none is not set; run pulumi config set --secret egress:none < keyfile"],
  ["file:/none", "file:/none cannot be read (ENOENT); check the path and its permissions"],
  ["env:EGW_NONE", "env:EGW_NONE is not set; export EGW_NONE before you run pulumi"],
])("%s says what to do", async (reference, message) => {
  const error = (await resolve(reference).catch((e: Error) => e)) as Error;
  expect(error.message).toBe(message);
});

test("an empty file is no secret", async () => {
  await expect(resolve(`file:${dir}/empty`)).rejects.toThrow(/is not set; put the secret into/);
});

test.each(["hunter2", "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2", "", "config:", "hunter2:x"])(
  "a value in place of a reference is refused and not repeated: %j",
  async (value) => {
    const error = (await resolve(value).catch((e: Error) => e)) as Error;
    expect(error.message).toBe(
      "a secret is given by reference, as config:KEY, file:PATH or env:NAME, never as its value",
    );
  },
);

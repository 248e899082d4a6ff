const { execFileSync } = require("node:child_process");
const { join } = require("node:path");

/** Gives the real tests the tools that set-up brought, also when jest was started by hand. */
module.exports = () => {
  if (process.env.EGW_PULUMI) return;
  const setup = join(__dirname, "../../scripts/setup.mjs");
  Object.assign(process.env, JSON.parse(execFileSync(process.execPath, [setup, "--env"], { encoding: "utf8" })));
};

import { existsSync, rmSync, writeFileSync } from "node:fs";

/**
 * Runs `body` while Debian's `policy` keeps packages that are installed from starting their services.
 * It goes again also when Ctrl-C ends the set-up; one that is there already is left alone.
 */
export async function withoutServices(body, policy = "/usr/sbin/policy-rc.d") {
  if (existsSync(policy)) return body();
  const release = () => rmSync(policy, { force: true });
  process.once("exit", release);
  writeFileSync(policy, "#!/bin/sh\nexit 101\n", { mode: 0o755 });
  try {
    return await body();
  } finally {
    process.off("exit", release);
    release();
  }
}

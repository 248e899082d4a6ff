import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runLong } from "./command.mjs";
import { goToBuildWith } from "./go-toolchain.mjs";
import { root } from "./places.mjs";

// One folder of scripts/setup/go each: its go.mod and go.sum pin every module that goes into the binary.
const packages = {
  pulumi: "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi",
  "pulumi-language-nodejs": "github.com/pulumi/pulumi/sdk/v3/nodejs/cmd/pulumi-language-nodejs",
};

/** Builds the named Pulumi binaries from Go modules into a folder; each appears there when it is complete. */
export async function buildWithGo(folder, versions, progress) {
  const go = await goToBuildWith(progress);
  for (const [name, version] of Object.entries(versions)) {
    const fresh = join(folder, `.${name}.${process.pid}`);
    mkdirSync(folder, { recursive: true });
    progress(`${name} ${version} from Go modules (takes some minutes)`);
    try {
      await runLong(go.command, ["build", ...flags(version), "-o", fresh, packages[name]], {
        cwd: join(root, "scripts/setup/go", name),
        env: { ...process.env, ...go.env, CGO_ENABLED: "0", GOWORK: "off" },
        onLine: countPackages(name, progress),
      });
      renameSync(fresh, join(folder, name));
    } finally {
      rmSync(fresh, { force: true });
    }
  }
}

function flags(version) {
  const stamp = `-X github.com/pulumi/pulumi/sdk/v3/go/common/version.Version=${version}`;
  return ["-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", `-s -w ${stamp}`];
}

function countPackages(name, progress) {
  const seen = { downloaded: 0, compiled: 0 };
  return (line) => {
    seen[line.startsWith("go: downloading") ? "downloaded" : "compiled"] += 1;
    progress(`${name}: ${seen.downloaded} modules downloaded, ${seen.compiled} packages compiled`);
  };
}

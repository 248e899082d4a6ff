import { exec, execOk, type Lab } from "../lab";

/** What a batch calls to change something; the same tools only look when they are called otherwise. */
const CHANGES = {
  ip: "*-batch*",
  ipset: "*restore*",
  "iptables-restore": "*",
  arping: "*-D*",
  conntrack: "*-D*",
} as const;

/**
 * Puts wrappers before the tools of a node. The call number `at` among those that change something does half of
 * its lines and fails; those before and after it are as ever.
 */
export async function breakCall(lab: Lab, node: string, at: number): Promise<void> {
  const wrapper = (tool: string, pattern: string) => `cat >/usr/local/sbin/${tool} <<'END'
#!/bin/sh
case "$*" in
${pattern})
  cat >/run/lines
  n=$(($(cat /run/calls 2>/dev/null || echo 0) + 1)); echo $n >/run/calls
  if [ $n = ${at} ]; then
    half=$(($(wc -l </run/lines) / 2))
    [ ${tool} = iptables-restore ] || head -n $half /run/lines | /usr/sbin/${tool} "$@" >&2
    echo "${tool}: told to fail at line $((half + 1))" >&2
    exit 1
  fi
  exec $(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v ${tool}) "$@" </run/lines ;;
esac
exec $(PATH=/usr/sbin:/usr/bin:/sbin:/bin command -v ${tool}) "$@"
END
chmod +x /usr/local/sbin/${tool}`;
  const script = Object.entries(CHANGES).map(([tool, pattern]) => wrapper(tool, pattern));
  await execOk(lab, node, ["sh", "-e"], { input: ["rm -f /run/calls", ...script].join("\n") });
}

/** Takes the wrappers away; gives how many calls were made. */
export async function mendCalls(lab: Lab, node: string): Promise<number> {
  const { stdout } = await exec(lab, node, ["cat", "/run/calls"]);
  const files = Object.keys(CHANGES).map((tool) => `/usr/local/sbin/${tool}`);
  await execOk(lab, node, ["rm", "-f", "/run/calls", "/run/lines", ...files]);
  return Number(stdout);
}

import type { Lab } from "../test/lab";

/** The lab as a picture, drawn from its data; `selected` pods (by address) are marked. */
export function picture(lab: Lab, selected: readonly string[]): string[] {
  const operator = lab.hosts.filter(({ role }) => role === "operator");
  const blocks = [
    ...operator.map(({ name, addresses }) => [`${name}  ${addresses[0] ?? ""}  (pulumi; SSH only)`]),
    ...lab.nodes.map((node) => [
      `${node.name}  ${node.underlayIP}`,
      ...lab.pods
        .filter((pod) => pod.node === node.name)
        .map((pod) => `  ${selected.includes(pod.address) ? "●" : "○"} ${pod.name}  ${pod.address}`),
    ]),
  ];
  const width = Math.max(...blocks.flat().map((line) => line.length)) + 2;
  const left = blocks.flatMap((block, i) => [
    ...(i === 0 ? [] : [`${" ".repeat(width)} │`]),
    ...block.map((line, j) =>
      j === 0 ? `${line} ${"─".repeat(width - line.length - 1)}─┤` : `${line.padEnd(width)} │`,
    ),
  ]);
  const right = outsideOf(lab);
  const from = Math.max(0, Math.floor((left.length - right.length) / 2));
  const joined = left.map((line, i) => {
    const beside = right[i - from];
    if (beside === undefined) return line;
    const isLink = beside.startsWith("─");
    return `${isLink ? line.replace(/│$/, "├").replace(/┤$/, "┼") : line}${beside}`;
  });
  return [...joined, "", "● a pod that examples/quickstart selects   ○ one that it does not"];
}

function outsideOf(lab: Lab): string[] {
  const router = lab.hosts.find(({ role }) => role === "router");
  const gap = " ".repeat(`── router ${router?.addresses[0] ?? ""} `.length);
  return lab.outside.map(({ name, address }, i) => {
    const corner = lab.outside.length === 1 ? "─" : i === 0 ? "┬" : i === lab.outside.length - 1 ? "└" : "├";
    return `${i === 0 ? `── router ${router?.addresses[0] ?? ""} ` : gap}${corner}─ ${name}  ${address}`;
  });
}

import { type Lab, type LabOptions, labDrift, labReset, labUp } from "../lab";
import { Operator } from "../operator/operator";
import { Stack } from "../operator/stack";

/** What a scenario works with. */
export interface Scene {
  readonly lab: Lab;
  /** One operator process; a second run at the same time is another `Operator.start(lab)`. */
  readonly operator: Operator;
  readonly stack: Stack;
}

/**
 * One scenario as one jest test: a lab of this profile that stays up between scenarios, reset before and checked after.
 * The body leaves nothing on any node; what it leaves is the failure.
 */
export function scenario(name: string, options: Partial<LabOptions>, body: (scene: Scene) => Promise<void>): void {
  test(name, async () => {
    const lab = await labUp({ name: labName(options), ...options });
    await labReset(lab);
    const operator = Operator.start(lab);
    try {
      await body({ lab, operator, stack: new Stack(operator) });
      for (const node of lab.nodes) expect({ [node.name]: await labDrift(lab, node.name) }).toEqual({ [node.name]: "" });
    } finally {
      await operator.stop();
    }
  });
}

/** Labs of other profiles stand beside each other; `npm test` takes them down at its end. */
function labName({ cni = "routes", masq = "masquerade", mtu = 1500 }: Partial<LabOptions>): string {
  return `t${cni.slice(0, 2)}${masq.slice(0, 2)}${mtu}`;
}

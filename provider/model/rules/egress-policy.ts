import { gatewayPodSourceRule } from "./gateway-pod-source";
import { gatewayRefRule } from "./gateway-ref";
import { oneChoiceRule, policyEgressIPRule } from "./policy-egress-ip";
import {
  forwardedRule,
  ignoredDestinationRule,
  policyListsRule,
  remainderRule,
  sourcesRule,
  usefulExceptRule,
} from "./policy-networks";
import type { Rule } from "./rule";

/** All rules for EgressPolicyArgs. */
export const egressPolicyRules: readonly Rule[] = [
  gatewayRefRule,
  policyListsRule,
  sourcesRule,
  gatewayPodSourceRule,
  forwardedRule,
  usefulExceptRule,
  ignoredDestinationRule,
  remainderRule,
  policyEgressIPRule,
  oneChoiceRule,
];

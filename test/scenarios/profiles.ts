import { type CniProfile, cniProfiles, type MasqProfile, masqProfiles } from "../lab";

/** How pods reach each other, and what becomes of their address on the way out. */
export interface Profile {
  readonly cni: CniProfile;
  readonly masq: MasqProfile;
}

export const profiles: readonly Profile[] = cniProfiles.flatMap((cni) => masqProfiles.map((masq) => ({ cni, masq })));

export const base: Profile = { cni: "routes", masq: "masquerade" };
/** Pods behind another tunnel, nothing translated: a leak shows the pod's own address. */
export const overlayNone: Profile = { cni: "overlay", masq: "none" };
export const bridgeSnat: Profile = { cni: "bridge", masq: "snat" };

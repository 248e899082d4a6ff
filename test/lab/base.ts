import type { Lab } from './topology';
export async function saveBase(_lab: Lab): Promise<void> {}

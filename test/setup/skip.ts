export type Test = (name: string, body: jest.ProvidesCallback, timeout?: number) => void;

/** `test`, or a skipped test that names why: the summary of `npm test` prints the reason and refuses a skip without one. */
export function testUnless(reason: string | false | undefined): Test {
  if (!reason) return test;
  return (name, body, timeout) => test.skip(`${name} [skipped: ${reason}]`, body, timeout);
}

/** A case of the long matrix: runs in `npm run test:full`. */
export const testFull: Test = testUnless(process.env.EGW_FULL !== "1" && "only in npm run test:full");

// The lab and the engine take seconds where unit tests take milliseconds.
jest.setTimeout(120_000);

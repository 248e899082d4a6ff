const shared = {
  testEnvironment: "node",
  rootDir: __dirname,
  modulePathIgnorePatterns: ["<rootDir>/dist/", "<rootDir>/.lab/"],
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      {
        jsc: {
          parser: { syntax: "typescript" },
          target: "es2022",
          // As in tsconfig.json: fields that are only declared must not overwrite what super() assigned.
          transform: { useDefineForClassFields: false },
        },
        module: { type: "commonjs" },
      },
    ],
  },
};

// unit: pure. real: the lab and the engine; each worker has labs of its own.
module.exports = {
  maxWorkers: 2,
  projects: [
    { ...shared, displayName: "unit", testMatch: ["<rootDir>/test/unit/**/*.test.ts"] },
    {
      ...shared,
      displayName: "real",
      testMatch: ["bpf", "lab", "oracle", "engine", "scenarios", "setup"].map(
        (d) => `<rootDir>/test/${d}/**/*.test.ts`,
      ),
      globalSetup: "<rootDir>/test/setup/tool-env.js",
      setupFilesAfterEnv: ["<rootDir>/test/setup/long-timeout.ts"],
    },
  ],
};

import { breakLines, OF_CLIENT } from "./run";

breakLines((file) => !OF_CLIENT.includes(file), ["connections.bpf.c"]);

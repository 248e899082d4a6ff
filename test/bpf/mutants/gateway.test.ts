import { breakLines, isOfClient } from "./run";

breakLines((file) => !isOfClient(file), ["connections.bpf.c"]);

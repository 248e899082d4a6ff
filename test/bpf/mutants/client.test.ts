import { breakLines, isOfClient } from "./run";

breakLines(isOfClient, ["client.bpf.c"]);

// Runs the command line's sources as its launcher runs the published file: `npm run fanout -- --help`.
// CommonJS, because by the time that a module runs, Node has read it through libuv, whose threads are then four.
process.env["UV_THREADPOOL_SIZE"] ||= "16"
void import("../packages/cli/src/bin.ts")

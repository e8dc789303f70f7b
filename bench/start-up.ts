// How long the command takes to start, beside a Node that does nothing.
import { byTurns, fanout, print } from "./measure.ts"

print(byTurns(21, [
  { name: "node -e 0", argv: [process.execPath, "-e", "0"] },
  { name: "fanout --version", argv: [process.execPath, fanout, "--version"] }
]))

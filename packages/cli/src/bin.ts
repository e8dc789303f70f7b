/**
 * Entry of the command. What only asks for the version loads nothing else.
 */
import { readFileSync } from "node:fs"

// libuv reads the number of its threads once, before its first file call, so it can't wait for the arguments' parser.
const concurrency = Number(/ --concurrency[ =](\d{1,4})\b/.exec(process.argv.join(" "))?.[1] ?? 32)
process.env["UV_THREADPOOL_SIZE"] ||= String(Math.min(Math.max(concurrency, 4), 128))

const manifest: { readonly version: string } = JSON.parse(
  readFileSync(new URL("../package.json", import.meta.url), "utf8")
)

if (process.argv.length === 3 && (process.argv[2] === "--version" || process.argv[2] === "-v")) {
  process.stdout.write(`fanout v${manifest.version}\n`)
} else {
  const { main } = await import("./Main.ts")
  main(manifest.version)
}

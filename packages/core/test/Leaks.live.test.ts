import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { isLong } from "../../../test/effort.ts"

/** Tasks of each kind: many in a usual run, a million in a long one. */
const count = isLong ? 1_000_000 : 20_000
const minutes = isLong ? 40 : 4

/** What code that is compiled meanwhile, and tasks under way, may differ by: for 20,000 tasks 100 bytes each. */
const mostBytes = 2_000_000

/** Runs so many tasks in a process of their own, and gives what is left of them. */
const run = (start: string) =>
  Effect.promise(() =>
    promisify(execFile)(process.execPath, [
      "--conditions=@fanout/source",
      `${import.meta.dirname}/leaksChild.ts`,
      start,
      String(count)
    ])
  ).pipe(Effect.map(({ stdout }): {
    readonly bytes: ReadonlyArray<number>
    readonly attached: number
    readonly held: number
    readonly seen: Readonly<Record<string, number>>
  } => JSON.parse(stdout)))

describe("tasks that fail, time out, are killed, skipped or cancelled", () => {
  it.live.each(["run", "interrupted", "dispatch", "dispatchMany", "fanOut"])(
    "leave no memory, permit, signal or listener behind, started by %s",
    (start) =>
      Effect.gen(function*() {
        const { attached, bytes, held, seen } = yield* run(start)
        const [first = 0, ...others] = bytes
        assert.isBelow(Math.max(...others) - first, mostBytes, `${bytes.join(", ")} bytes in use`)
        // Its dispatcher's own signal is left.
        assert.deepStrictEqual([attached, held], [1, 0])
        assert.strictEqual(Object.keys(seen).length, 9)
      }),
    minutes * 60_000
  )
})

import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { isLong } from "../../../test/effort.ts"

const count = isLong ? 10_000 : 300

describe("a partitioned source of many partitions", () => {
  it("takes no more memory the more have ended", async () => {
    const child = `${import.meta.dirname}/partitionsChild.ts`
    const args = ["--conditions=@fanout/source", child, String(count)]
    const { stdout } = await promisify(execFile)(process.execPath, args)
    const { bytes, done }: { readonly bytes: ReadonlyArray<number>; readonly done: number } = JSON.parse(stdout)

    assert.strictEqual(done, 2 * count)
    assert.lengthOf(bytes, 10)
    const [, first = 0, ...others] = bytes
    assert.isBelow(Math.max(...others) - first, 4_000_000, `${bytes.join(", ")} bytes in use`)
  }, 1_200_000)
})

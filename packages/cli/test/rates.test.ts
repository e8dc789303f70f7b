import { assert, describe, it } from "@effect/vitest"
import { meanOf, pointsOf } from "../page/rates.ts"

/** Samples of runs, each of which moves so much a second. */
const history = (ats: ReadonlyArray<number>, perSecond: number) => ({
  everyMillis: 1000,
  at: ats,
  items: ats.map(() => 0),
  failed: ats.map(() => 0),
  bytes: ats.map((at) => at / 1000 * perSecond),
  tasks: ats.map(() => 3),
  marks: []
})

const seconds = (from: number, many: number) => Array.from({ length: many }, (_, n) => 1000 * (from + n))

describe("rates", () => {
  it("are those of what moved", () => {
    const points = pointsOf(history(seconds(10, 20), 100), "bytes")
    assert.lengthOf(points, 19)
    for (const { perSecond, tasks } of points) assert.deepStrictEqual([perSecond, tasks], [100, 3])
    assert.deepStrictEqual(meanOf(points), { perSecond: 100, millis: 19_000 })
  })

  it("begin anew behind a gap, in which nothing counts", () => {
    const points = pointsOf(history([...seconds(0, 5), ...seconds(100, 5)], 100), "bytes")
    assert.deepStrictEqual(points.filter(({ isFirst }) => isFirst).map(({ at }) => at), [1000, 101_000])
    assert.strictEqual(meanOf(points)?.millis, 8000)
  })

  it("are over five seconds, so that the last sample of a run is no peak", () => {
    const { bytes, ...rest } = history([...seconds(0, 10), 9010], 100)
    const points = pointsOf({ ...rest, bytes: [...bytes.slice(0, -1), 1000] }, "bytes")
    assert.isBelow(points.at(-1)?.perSecond ?? 0, 150)
  })

  it("are none of a history without samples", () => {
    assert.deepStrictEqual(pointsOf(history([], 0), "items"), [])
    assert.isUndefined(meanOf([]))
  })
})

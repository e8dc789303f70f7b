import { assert, describe, it } from "@effect/vitest"
import { type Answer, type Call, code, immediate, isCode, make } from "@fanout/ops/Calls"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { type Ended, later, now, type Routine } from "../src/internal/files/routine.ts"
import { resultOf, type Unit, unsettled } from "../src/internal/steps/unit.ts"
import { fill } from "../src/internal/units/draftFilling.ts"
import { settle } from "../src/internal/units/placement.ts"
import * as MemoryFiles from "./MemoryFiles.ts"
import { unitOf } from "./unitOf.ts"

const yes = () => true

const limits = { mayBegin: yes, mayGoOn: yes, mayPublish: yes, isLeftover: undefined }

/** Makes a call in no time, and does not say so before this has returned. */
const soon = (call: Call<unknown>, done: (answer: Answer<unknown>) => void): void =>
  queueMicrotask(() => done(call.now()))

/** Sums up numbers that calls give, and ends with the code of one that fails. */
function* sum(calls: ReadonlyArray<Call<number>>): Routine<Answer<number>> {
  let sum = 0
  for (const call of calls) {
    const value = yield* call
    if (isCode(value)) return value
    sum += value
  }
  return sum
}

const ended = <A>(routine: Routine<A>, how: typeof soon): Promise<Ended<A>> =>
  new Promise((resolve) => later(routine, how, resolve))

describe("a routine", () => {
  it("comes to the same whenever its calls are made", async () => {
    const numbers = [1, 2, 3].map((value) => immediate(() => value))
    const failing = [immediate(() => 1), immediate<number>(() => code("EIO")), immediate<number>(() => assert.fail())]
    for (const [calls, expected] of [[numbers, 6], [failing, code("EIO")], [[], 0]] as const) {
      assert.strictEqual(now(sum, calls), expected)
      for (const how of [soon, (call: Call<unknown>, done: (answer: Answer<unknown>) => void) => call.later(done)]) {
        assert.deepStrictEqual(await ended(sum(calls), how), { value: expected })
      }
    }
  })

  it("may make any number of calls that are answered at once", async () => {
    const calls = Array.from({ length: 100_000 }, () => make(() => 1, (done) => done(1)))
    assert.deepStrictEqual(await ended(sum(calls), (call, done) => call.later(done)), { value: 100_000 })
  })

  it("tells what it has thrown, before its first call and behind it", async () => {
    const defect = new Error("no call")
    function* throwing(calls: ReadonlyArray<Call<number>>): Routine<number> {
      for (const call of calls) yield* call
      throw defect
    }
    for (const calls of [[], [immediate(() => 1)]]) {
      assert.deepStrictEqual(await ended(throwing(calls), soon), { defect })
    }
  })
})

const names = ["one", "two", "three"]

/** Two folders whose files have the same names, and other content. */
const plant = (): MemoryFiles.Disk => {
  const disk = new MemoryFiles.Disk()
  for (const folder of ["/a", "/b", "/to", "/to/a", "/to/b"]) disk.folder(folder)
  for (const [index, name] of names.entries()) {
    disk.file(`/a/${name}`, `a ${name} `.repeat(100 * index))
    disk.file(`/b/${name}`, `b ${name} `.repeat(100 * index))
  }
  return disk
}

function* copy(disk: MemoryFiles.Disk, unit: Unit): Routine<unknown> {
  const calls = MemoryFiles.callsOf(disk)
  const filled = yield* fill(calls, unit, limits)
  disk.syncAll()
  return resultOf(filled, yield* settle(calls, unit, { ...filled, dropped: [] }, limits, unsettled))
}

describe("units whose calls are made in turns", () => {
  it.effect.prop(
    "come to the same as one after the other",
    { turns: Schema.Array(Schema.Boolean), how: Schema.Literals(["copied", "hashed", "compared"]) },
    ({ how, turns }) =>
      Effect.gen(function*() {
        const options: Partial<Unit> = how === "hashed"
          ? { checksums: "sha256" }
          : { isVerified: how === "compared", waits: how === "compared" }
        const units = ["a", "b"].map((folder) =>
          unitOf({ source: `/${folder}`, target: `/to/${folder}`, names, ...options })
        )
        const [alone, together] = [plant(), plant()]
        const expected = units.map((unit) => ({ value: now(copy, alone, unit) }))
        const result: Array<Ended<unknown>> = []
        // Each call waits until it is said which of the two goes on.
        const waiting: Array<() => void> = []
        for (const [index, unit] of units.entries()) {
          later(copy(together, unit), (call, done) => void waiting.push(() => done(call.now())), (ended) => {
            result[index] = ended
          })
        }
        for (let turn = 0; waiting.length > 0; turn++) {
          waiting.splice(turns[turn % turns.length] === true ? 0 : -1, 1)[0]?.()
        }
        assert.deepStrictEqual(result, expected)
        const filesOf = (disk: MemoryFiles.Disk) =>
          Object.entries(disk.tree("/to")).filter(([, { kind }]) => kind === "file")
        assert.lengthOf(filesOf(alone), 2 * names.length)
        assert.deepStrictEqual(filesOf(together), filesOf(alone))
      })
  )
})

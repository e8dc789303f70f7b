import { assert, describe, it } from "@effect/vitest"
import type { Listing, Row } from "../page/client.ts"
import { freshOf, goneOf, held, isBehind, keepAnswers, settle, unread } from "../page/places.ts"
import { note, trailOf } from "../page/trails.ts"

const job = (id: string, createdAt: number, state: Row["state"] = "Running"): Row => ({
  id,
  name: "copy",
  title: id,
  state,
  stateText: "",
  pausedBy: null,
  request: null,
  isOwnerDead: false,
  error: null,
  actions: [],
  createdAt,
  updatedAt: createdAt,
  finishedAt: null,
  parent: null,
  schedule: null,
  counted: "",
  progress: {
    done: 0,
    failed: 0,
    folders: 0,
    skipped: 0,
    vanished: 0,
    elements: 0,
    tags: {},
    causes: {},
    reasons: {},
    units: {},
    totals: {},
    rates: { bytes: 1 },
    startedAt: null,
    share: null,
    leftMillis: null
  }
})
const listing = (jobs: ReadonlyArray<Row>, next: string | null = null): Listing => ({
  jobs,
  counts: {},
  unreadable: [],
  next
})
const jobs = (many: number, from = 0): ReadonlyArray<Row> =>
  Array.from({ length: many }, (_, n) => job(`j${from + n}`, 10_000 - from - n))

describe("places", () => {
  it("lets each job that left the list be asked about", () => {
    const one = held("")
    settle(one, listing(jobs(50)))
    const now = listing(jobs(10))
    const asked = [0, 1, 2].flatMap(() => {
      const ids = unread(one, now)
      keepAnswers(one, ids, ids.map((id) => job(id, one.rows.get(id)?.createdAt ?? 0, "Completed")))
      settle(one, now)
      return [ids]
    })
    assert.deepStrictEqual(asked.map(({ length }) => length), [20, 20, 20])
    assert.strictEqual(new Set(asked.slice(0, 2).flat()).size, 40)
    assert.isFalse(isBehind(one, now))
    assert.strictEqual(goneOf(one, now, ["Running"]).length, 40)
  })

  it("asks about jobs that are over after all others", () => {
    const one = held("")
    settle(one, listing(jobs(40)))
    const now = listing([])
    for (const state of ["Completed", "Running"] as const) {
      const ids = unread(one, now)
      assert.isTrue(isBehind(one, now))
      keepAnswers(one, ids, ids.map((id) => job(id, 1, state)))
    }
    assert.isFalse(isBehind(one, now))
    assert.deepStrictEqual(unread(one, now), Array.from({ length: 20 }, (_, n) => `j${20 + n}`))
  })

  it("asks about jobs that the list does not reach, and counts those that no longer match", () => {
    const one = held("")
    settle(one, listing(jobs(2, 100)))
    const now = listing(jobs(50), "next")
    assert.deepStrictEqual(unread(one, now), ["j100", "j101"])
    assert.deepStrictEqual(goneOf(one, now, ["Running"]), [])
    keepAnswers(one, ["j100", "j101"], [job("j100", 9900, "Failed"), undefined])
    assert.deepStrictEqual(goneOf(one, now, ["Running"]), ["j100"])
    assert.deepStrictEqual(goneOf(one, now, []), [])
  })

  it("keeps no jobs that are neither shown nor in the list", () => {
    const one = held("")
    settle(one, listing(jobs(50, 100)))
    settle(one, listing(jobs(100)))
    assert.strictEqual(freshOf(one), 100)
    assert.strictEqual(one.rows.size, 150)
    one.ids = []
    settle(one, listing(jobs(100)))
    assert.strictEqual(one.rows.size, 100)
    assert.strictEqual(one.asked.size, 0)
  })
})

describe("trails", () => {
  it("are kept of the last thousand jobs that moved", () => {
    for (const one of jobs(1001)) note(one)
    assert.deepStrictEqual([trailOf("j0"), trailOf("j1000")], [[], [1]])
  })
})

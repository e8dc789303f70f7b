import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { drive, kindOf, overlaps, ownerOf, Process, runMany, type Version, World } from "./ClusterWorld.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

const versions: ReadonlyArray<Version> = ["same", "other schemas", "lacks the task", "other protocol"]

/** Something that happens to one of the workers or to the owner, or a new worker. */
const Event = Schema.Struct({
  /** In steps of 50 ms. */
  at: between(0, 200),
  what: Schema.Literals(["kill", "cut", "heal", "start", "leave", "slow", "freeze", "thaw", "late", "double"]),
  worker: between(0, 4),
  version: Schema.Literals(versions),
  /** Whether the next message of the worker is late, or that of its owner; and by how much, in steps of 50 ms. */
  isOfWorker: Schema.Boolean,
  late: between(0, 200)
})

const Plan = Schema.Struct({
  workers: Schema.Array(Schema.Literals(versions)).check(Schema.isMaxLength(4)),
  io: between(1, 40),
  latency: between(0, 40),
  count: between(1, 40),
  /** Many short tasks, or tasks that go on for longer than a grant. */
  steps: Schema.Union([between(0, 40), between(500, 900)]),
  events: Schema.Array(Event).check(Schema.isMaxLength(10))
})
type Plan = typeof Plan.Type

/** Does what happens at a time. From 15 s on nothing happens any more, and there is a worker that takes all tasks. */
const happenings = (world: World, owner: Process, plan: Plan, names: Array<string>) => {
  const start = (version?: Version) => Effect.map(world.start(plan.io, version), (name) => void names.push(name))
  const processOf = (name: string) => name === "owner" ? owner : world.workers.get(name)?.process
  return (millis: number) => {
    if (millis === 15_000) {
      world.cut.clear()
      world.latency = plan.latency
      for (const name of [...names, "owner"]) processOf(name)?.thaw()
      return start()
    }
    const due = plan.events.filter(({ at }) => at * 50 === millis)
    return Effect.forEach(due, ({ isOfWorker, late, version, what, worker }) => {
      const all = what === "freeze" || what === "thaw" ? [...names, "owner"] : names
      const name = all[worker % Math.max(1, all.length)] ?? ""
      switch (what) {
        case "kill":
          return world.kill(name)
        case "leave":
          return world.leave(name)
        case "start":
          return start(version)
        case "cut":
          return Effect.sync(() => world.cut.add(name))
        case "heal":
          return Effect.sync(() => world.cut.delete(name))
        case "slow":
          return Effect.sync(() => world.latency = 300)
        case "freeze":
          return Effect.sync(() => processOf(name)?.freeze())
        case "thaw":
          return Effect.sync(() => processOf(name)?.thaw())
        case "late":
        case "double": {
          const fate = what === "late" ? { lateMillis: late * 50, copies: 1 } : { lateMillis: 0, copies: 2 }
          return Effect.sync(() => world.next[isOfWorker ? 1 : 0].set(name, fate))
        }
      }
    })
  }
}

/** Runs a job while a plan happens. Each element ends once, as on fibers, on workers that know its task. */
const holds = (plan: Plan) =>
  Effect.gen(function*() {
    const world = new World()
    world.latency = plan.latency
    const names: Array<string> = []
    for (const version of plan.workers) names.push(yield* world.start(plan.io, version))
    const owner = new Process(yield* Clock.Clock)
    const { tally } = yield* drive(
      owner.run(Effect.provide(runMany(plan.count, plan.steps), ownerOf(world))),
      happenings(world, owner, plan, names)
    )

    const kinds = Array.from({ length: plan.count }, (_, n) => kindOf(n))
    const count = (kind: string) => kinds.filter((one) => one === kind).length
    assert.deepStrictEqual([tally.done, tally.failed, tally.skipped], ["Done", "Failed", "Skipped"].map(count))
    assert.strictEqual(tally.units["steps"] ?? 0, count("Done") * plan.steps)
    assert.deepStrictEqual(overlaps(world.marks), [])
    assert.deepStrictEqual(world.marks.filter(({ worker }) => world.misfits.has(worker)), [])
    return world
  })

const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.scoped(effect), TestClock.layer({ warningDelay: "1 minute" }), { local: true })

type Event = typeof Event.Type

const event = (what: Event["what"], more: Partial<Omit<Event, "what">> = {}): Event => ({
  at: 20,
  what,
  worker: 0,
  version: "same",
  isOfWorker: false,
  late: 0,
  ...more
})

/** Two workers, whose tasks go on for longer than a grant, events, and the workers that lose the grant by them. */
const certain: ReadonlyArray<readonly [string, Plan["events"], ReadonlyArray<string>]> = [
  ["a worker stands still", [event("freeze"), event("thaw", { at: 180 })], ["worker-1"]],
  [
    "the owner stands still",
    [event("freeze", { worker: 2 }), event("thaw", { at: 180, worker: 2 })],
    ["worker-1", "worker-2"]
  ],
  ["a message of the owner is late", [event("late", { late: 160 })], ["worker-1"]],
  ["a message of a worker is late", [event("late", { late: 160, isOfWorker: true })], ["worker-1"]],
  ["a message of the owner comes twice", [event("double")], ["worker-1"]],
  ["a message of a worker comes twice", [event("double", { isOfWorker: true })], ["worker-1"]]
]

describe("the laws of clusters", () => {
  it.effect.each(certain)("hold when %s", ([, events, losers]) =>
    Effect.gen(function*() {
      const { marks } = yield* alone(
        holds({ workers: ["same", "same"], io: 4, latency: 5, count: 8, steps: 600, events })
      )

      const lost = marks.filter(({ reason }) => reason === "LeaseLost").map(({ worker }) => worker)
      assert.deepStrictEqual(Array.from(new Set(lost)).toSorted(), losers)
    }))

  it.effect("hold when a worker stands still that has tasks which it has not begun", () =>
    alone(holds({
      workers: ["same", "same"],
      io: 13,
      latency: 300,
      count: 55,
      steps: 22,
      events: [event("freeze", { at: 6 })]
    })))

  it.effect("hold when only workers of other versions are there, until another one comes", () =>
    Effect.gen(function*() {
      const { marks } = yield* alone(
        holds({ workers: versions.slice(1), io: 8, latency: 5, count: 20, steps: 10, events: [] })
      )

      assert.deepStrictEqual(new Set(marks.map(({ worker }) => worker)), new Set(["worker-4"]))
    }))

  it.effect.prop(
    "whatever happens to workers, each element ends once, as on fibers, and no two attempts hold a lease at once",
    { plan: Plan },
    ({ plan }) => alone(holds(plan)),
    { arbitrary: { runs: runs(60), size: 20 }, timeout: 600_000 }
  )
})

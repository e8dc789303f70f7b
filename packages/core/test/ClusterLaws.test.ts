import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as TestClock from "effect/testing/TestClock"
import { runs } from "../../../test/effort.ts"
import { drive, kindOf, overlaps, ownerOf, runMany, World } from "./ClusterWorld.ts"

const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))

/** Something that happens to one of the workers, or a new worker. */
const Event = Schema.Struct({
  /** In steps of 50 ms. */
  at: between(0, 200),
  what: Schema.Literals(["kill", "cut", "heal", "start", "leave", "slow"]),
  worker: between(0, 4)
})

const Plan = Schema.Struct({
  workers: between(1, 4),
  io: between(1, 40),
  latency: between(0, 40),
  count: between(1, 60),
  /** Many short tasks, or tasks that go on for longer than a grant. */
  steps: Schema.Union([between(0, 40), between(500, 900)]),
  events: Schema.Array(Event).check(Schema.isMaxLength(8))
})

/** Does what happens at a time. From 15 s on nothing happens any more, and there is a worker. */
const happenings = (world: World, plan: typeof Plan.Type, names: Array<string>) => (millis: number) => {
  if (millis === 15_000) {
    world.cut.clear()
    return Effect.map(world.start(plan.io), (name) => void names.push(name))
  }
  const due = plan.events.filter(({ at }) => at * 50 === millis)
  return Effect.forEach(due, ({ what, worker }) => {
    const name = names[worker % Math.max(1, names.length)] ?? ""
    switch (what) {
      case "kill":
        return world.kill(name)
      case "leave":
        return world.leave(name)
      case "start":
        return Effect.map(world.start(plan.io), (name) => void names.push(name))
      case "cut":
      case "heal":
      case "slow":
        return Effect.sync(() => {
          if (what === "cut") world.cut.add(name)
          else if (what === "heal") world.cut.delete(name)
          else world.latency = 300
        })
    }
  })
}

const alone = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provide(Effect.scoped(effect), TestClock.layer({ warningDelay: "1 minute" }), { local: true })

describe("the laws of clusters", () => {
  it.effect.prop(
    "whatever happens to workers, each element ends once, as on fibers, and no two attempts hold a lease at once",
    { plan: Plan },
    ({ plan }) =>
      alone(Effect.gen(function*() {
        const world = new World()
        world.latency = plan.latency
        const names: Array<string> = []
        for (let n = 0; n < plan.workers; n++) names.push(yield* world.start(plan.io))
        const { tally } = yield* drive(
          Effect.provide(runMany(plan.count, plan.steps), ownerOf(world)),
          happenings(world, plan, names)
        )

        const kinds = Array.from({ length: plan.count }, (_, n) => kindOf(n))
        const count = (kind: string) => kinds.filter((one) => one === kind).length
        assert.deepStrictEqual([tally.done, tally.failed, tally.skipped], ["Done", "Failed", "Skipped"].map(count))
        assert.strictEqual(tally.units["steps"] ?? 0, count("Done") * plan.steps)
        assert.deepStrictEqual(overlaps(world.marks), [])
      })),
    { arbitrary: { runs: runs(60), size: 20 }, timeout: 600_000 }
  )
})

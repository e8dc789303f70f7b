import { assert, describe, it } from "@effect/vitest"
import type { JobRecord } from "@fanout/core/JobRecord"
import * as JobState from "@fanout/core/JobState"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"
import { obey, step } from "../src/internal/job/change.ts"
import { stepAsked, stepAtEnd, stepOf, type Wish } from "../src/internal/store/request.ts"
import * as Records from "./JobStoreRecords.ts"

const byPerson: ReadonlyMap<string, Wish> = new Map([["pause", "Pause"], ["resume", "Run"], ["cancel", "Cancel"]])
const byParent: ReadonlyMap<string, Wish> = new Map([
  ["parent pauses", "Pause"],
  ["parent goes on", "Run"],
  ["parent is over", "Cancel"]
])
/** What ends a run, and what the run itself makes of the job. */
const ends: ReadonlyMap<string, ReadonlyArray<JobState.Transition>> = new Map([
  ["stopped", [{ _tag: "Released", why: "Shutdown" }, { _tag: "Backoff", at: 0 }, {
    _tag: "Waits",
    wait: { by: "network", since: 0, looks: 0 }
  }]],
  ["lost", [{ _tag: "Released", why: "OwnerLost" }]],
  ["pauses itself", [{ _tag: "Paused", by: "disk" }]],
  ["fails", [{ _tag: "Failed" }]],
  ["succeeds", [{ _tag: "Succeeded", withErrors: false }]]
])
const moves: ReadonlyMap<string, JobState.Transition> = new Map([
  ["claimed", { _tag: "Claimed" }],
  ["retry", { _tag: "Retried" }],
  ["abandoned", { _tag: "Abandoned" }]
])
const events = [byPerson, byParent, ends, moves].flatMap((some) => Array.from<string>(some.keys())).concat(
  "clean-up stopped"
)

const fresh = (token: number): JobRecord => Records.job("k1", { token })

/** What may come of an event; the record itself where nothing does, or it is refused. */
const after = (record: JobRecord, event: string): ReadonlyArray<JobRecord> => {
  const moved = (by: JobState.Transition) => step(record, by, 0, event)?.record ?? record
  const wish = byPerson.get(event) ?? byParent.get(event)
  if (wish !== undefined) {
    const by = byPerson.has(event) ? "person" : "parent"
    const next = by === "person" ? stepAsked(record, wish) : stepOf(record, wish)
    return [next === undefined ? record : obey(record, next, by, 0)?.record ?? record]
  }
  const move = moves.get(event)
  if (move !== undefined) {
    const next = moved(move)
    return [event === "claimed" && next !== record ? next.with({ token: record.token + 1 }) : next]
  }
  if (record.state._tag !== "Running") return [record]
  if (event === "clean-up stopped") {
    return Option.contains(record.request, "Cancel") ? [moved({ _tag: "Released", why: "Shutdown" })] : [record]
  }
  return (ends.get(event) ?? []).map((own) => moved(stepAtEnd(record.request, own)))
}

/** Name of what is stored of a job in the diagram. */
const nameOf = ({ request, state }: JobRecord): string => {
  const asked = Option.getOrElse(request, () => "nothing" as const)
  const paused = state._tag === "Paused" && state.by === "parent" ? "PausedWithParent" : state._tag
  return names[state._tag]?.[asked] ?? (asked === "nothing" ? paused : `${paused}, asked to ${asked}`)
}
const names: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  Queued: { Cancel: "ToCancel" },
  Running: { Pause: "Pausing", PauseWithParent: "PausingWithParent", Cancel: "Cancelling" }
}

/** The diagram: to where an event leads from where. */
const drawn = new Map(
  Array.from(
    (fs.readFileSync(path.join(import.meta.dirname, "../../../docs/job-lifecycle.md"), "utf8").split("```mermaid")[2] ??
      "").matchAll(/^ +(\w+) --> (\w+): (.+)$/gm)
  ).flatMap(([, from, to = "", labels = ""]) => labels.split(", ").map((event) => [`${from}: ${event}`, to] as const))
)

/** What happens next, of what changes a job or of all there is. */
const Choice = Schema.Struct({
  ofAll: Schema.Literals([false, false, true]),
  at: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 99 }))
})

const History = {
  choices: Schema.Array(Choice).check(Schema.isMinLength(5), Schema.isMaxLength(30)),
  hasRun: Schema.Boolean
}

/** Every record of a history with what came next. Of all that may come of an event the history takes the last. */
const historyOf = (
  { choices, hasRun }: { readonly choices: ReadonlyArray<typeof Choice.Type>; readonly hasRun: boolean }
) => {
  let record = fresh(hasRun ? 1 : 0)
  return choices.flatMap(({ at, ofAll }) => {
    const before = record
    const some = events.filter((event) => ofAll || after(before, event).some((next) => next !== before))
    const event = some[at % some.length] ?? "pause"
    return after(before, event).map((next) => {
      record = next
      return { before, event, next }
    })
  })
}

const isOver = ({ state }: JobRecord): boolean => JobState.isTerminal(state)
const isPausedByPerson = (record: JobRecord): boolean => ["Pausing", "Paused"].includes(nameOf(record))

describe("what is asked of a job", () => {
  it("takes back the wait of a job, and never its cancel", () => {
    const waits = { by: "network", since: 0, looks: 1 }
    const resumed = (request: JobRecord["request"]) => {
      const record = fresh(1).with({ state: { _tag: "Queued", attempt: 1, tries: 0, waits }, request })
      const next = stepAsked(record, "Run")
      return next === undefined ? undefined : obey(record, next, "person", 5)?.record
    }
    assert.deepInclude(resumed(Option.none()), { state: { _tag: "Queued", attempt: 1, tries: 0 }, availableAt: 0 })
    assert.isUndefined(resumed(Option.some("Cancel")))
  })

  it("does what docs/job-lifecycle.md draws, and nothing else", () => {
    const found = new Map<string, string>()
    const seen = new Map<string, JobRecord>()
    const visit = (record: JobRecord) => {
      if (seen.has(nameOf(record))) return
      seen.set(nameOf(record), record)
      for (const event of events) {
        for (const next of after(record, event)) {
          if (next !== record) found.set(`${nameOf(record)}: ${event}`, nameOf(next))
          visit(next)
        }
      }
    }
    visit(fresh(1))

    assert.deepStrictEqual(Object.fromEntries(found), Object.fromEntries(drawn))
  })

  it.effect.prop(
    "goes by the diagram in any history, and cancels at once who has never run",
    History,
    (history) =>
      Effect.sync(() => {
        for (const { before, event, next } of historyOf(history)) {
          const to = drawn.get(`${nameOf(before)}: ${event}`) ?? nameOf(before)
          assert.strictEqual(nameOf(next), to === "ToCancel" && before.token === 0 ? "Cancelled" : to, event)
        }
      })
  )

  it.effect.prop("never loses a cancel, nor weakens it", History, (history) =>
    Effect.sync(() => {
      let isAsked = false
      for (const { before, event, next } of historyOf(history)) {
        isAsked ||= event === "cancel" && next !== before
        if (isAsked) assert.include(["ToCancel", "Cancelling", "Cancelled", "Completed"], nameOf(next), event)
      }
    }))

  it.effect.prop("lets a person's pause outlast a parent's", History, (history) =>
    Effect.sync(() => {
      for (const { before, event, next } of historyOf(history)) {
        if (!isPausedByPerson(before)) continue
        const isEnded = ["resume", "cancel", "parent is over"].includes(event) || isOver(next)
        assert.isTrue(isEnded || isPausedByPerson(next), `${event}: ${nameOf(next)}`)
      }
    }))

  it.effect.prop(
    "pauses a job that was asked to, or that is over, whatever ends its run",
    History,
    (history) =>
      Effect.sync(() => {
        for (const { before, event, next } of historyOf(history)) {
          if (!["Pausing", "PausingWithParent"].includes(nameOf(before)) || !ends.has(event)) continue
          assert.isTrue(next.state._tag === "Paused" || isOver(next), `${event}: ${nameOf(next)}`)
        }
      })
  )
})

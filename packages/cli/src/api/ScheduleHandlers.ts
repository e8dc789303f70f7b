/**
 * Answers requests to the API that are about schedules.
 */
import { JobManager } from "@fanout/core/JobManager"
import type { JobSchedule } from "@fanout/core/JobSchedule"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import * as Option from "effect/Option"
import { printable } from "../ui/format.ts"
import * as Api from "./Api.ts"
import * as ApiRows from "./ApiRows.ts"
import { storeFailed } from "./Refusals.ts"
import { ServerProgram } from "./ServerProgram.ts"

/** How many of the next ticks are told of one schedule. */
const shownTicks = 5

const noSchedule = (name: string): string => `There is no schedule "${printable(name)}"`

const looking = Effect.gen(function*() {
  const manager = yield* JobManager
  const { knowledge } = yield* ServerProgram
  const lookedAt = Effect.fnUntraced(function*(schedule: JobSchedule, count: number) {
    // An earlier version, or another program, may know times that this one does not.
    const ticks = Effect.catchTag(manager.nextTicks(schedule, count), "JobManagerError", () => Effect.succeed([]))
    const [last] = Option.isNone(schedule.lastJob)
      ? []
      : yield* manager.overview({ idPrefix: schedule.lastJob.value, limit: 1 })
    return ApiRows.schedule(schedule, yield* ticks, last, yield* Clock.currentTimeMillis, knowledge)
  })
  return {
    schedules: Effect.fnUntraced(function*(after: string | undefined, limit = Api.usual.schedules) {
      const all = yield* manager.schedules
      const from = all.findIndex(({ name }) => name === after) + 1
      const shown = all.slice(from, from + limit)
      return {
        schedules: yield* Effect.forEach(shown, (schedule) => lookedAt(schedule, 1)),
        next: from + limit < all.length ? shown.at(-1)?.name ?? null : null
      }
    }, Effect.mapError(storeFailed)),
    schedule: Effect.fnUntraced(function*(name: string) {
      const found = (yield* Effect.mapError(manager.schedules, storeFailed)).find((one) => one.name === name)
      if (found === undefined) return yield* new Api.NotFound({ message: noSchedule(name) })
      return yield* Effect.mapError(lookedAt(found, shownTicks), storeFailed)
    })
  }
})

const asking = Effect.gen(function*() {
  const manager = yield* JobManager
  const refused = (why: string): Omit<Api.ScheduleAnswer, "name"> => ({ refused: why, job: null })
  const done: Omit<Api.ScheduleAnswer, "name"> = { refused: null, job: null }
  const actions = {
    pause: (name: string) => Effect.as(manager.pauseSchedule(name), done),
    resume: (name: string) => Effect.as(manager.resumeSchedule(name), done),
    remove: (name: string) => Effect.map(manager.unschedule(name), (was) => was ? done : refused(noSchedule(name))),
    run: (name: string) =>
      Effect.map(
        manager.runSchedule(name),
        ({ id, started }) => started ? { ...done, job: id } : { refused: `Its job ${id} is not over yet`, job: id }
      )
  }
  return (action: Api.ScheduleAction, names: ReadonlyArray<string>) =>
    Effect.forEach(names, (name) =>
      actions[action](name).pipe(
        Effect.catch(({ message }) => Effect.succeed(refused(printable(message)))),
        Effect.map((answer): Api.ScheduleAnswer => ({ ...answer, name }))
      ))
})

/** Handlers of the schedules. */
export const schedules = HttpApiBuilder.group(
  Api.Api,
  "schedules",
  Effect.fnUntraced(function*(handlers) {
    const { schedule, schedules } = yield* looking
    const ask = yield* asking
    return handlers.handleAll({
      schedules: ({ query: { after, limit } }) => schedules(after, limit),
      schedule: ({ params: { name } }) => schedule(name),
      askSchedules: ({ payload: { action, names } }) => ask(action, names)
    })
  })
)

/**
 * Answers requests to the API from the jobs of a manager.
 */
import * as JobId from "@fanout/core/JobId"
import { JobManager } from "@fanout/core/JobManager"
import * as JobPriority from "@fanout/core/JobPriority"
import type { JobChanges, JobRecord, ListFilter } from "@fanout/core/JobStore"
import type { JobStoreError } from "@fanout/core/JobStoreError"
import * as Arr from "effect/Array"
import * as Cache from "effect/Cache"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as HttpApiBuilder from "effect/http-api/HttpApiBuilder"
import { HttpApiSchemaError } from "effect/http-api/HttpApiError"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { printable } from "../ui/format.ts"
import { isThrottled } from "../ui/summary.ts"
import * as Api from "./Api.ts"
import * as ApiRows from "./ApiRows.ts"
import * as ApiTimes from "./ApiTimes.ts"
import * as ChangeEvents from "./ChangeEvents.ts"
import * as CommonLimits from "./CommonLimits.ts"
import * as Guard from "./Guard.ts"
import * as Page from "./Page.ts"
import { notFoundOrFailed, storeFailed, whyNot } from "./Refusals.ts"
import * as ScheduleHandlers from "./ScheduleHandlers.ts"
import { ServerProgram } from "./ServerProgram.ts"

const listOf = <A extends string>(value: A | ReadonlyArray<A> | undefined): ReadonlyArray<A> | undefined =>
  typeof value === "string" ? [value] : value

/** Where a page of jobs ends. */
const cursorOf = ({ createdAt, id }: Pick<JobRecord, "createdAt" | "id">): string => `${createdAt}-${id}`

const fromCursor = (text: string): Pick<JobRecord, "createdAt" | "id"> => {
  const [, at = "0", id = text] = /^(\d+(?:\.\d+)?)-(.+)$/s.exec(text) ?? []
  return { createdAt: Number(at), id: JobId.make(id) }
}

const page = <A>(found: ReadonlyArray<A>, limit: number) => {
  const shown = found.slice(0, limit)
  return { shown, last: found.length > limit ? shown.at(-1) : undefined }
}

/** Jobs that can't be read are looked for this often: pages read lists again and again, and hardly any has one. */
const unreadable = { filters: 32, timeToLive: "10 seconds" } as const

const looking = Effect.gen(function*() {
  const manager = yield* JobManager
  const { knowledge } = yield* ServerProgram
  const broken = yield* Cache.makeWith(
    (filter: Partial<ListFilter>) =>
      Effect.map(manager.unreadable(filter), Arr.map(({ id, why }) => ({ id: printable(id), why: printable(why) }))),
    { capacity: unreadable.filters, timeToLive: (exit) => Exit.isSuccess(exit) ? unreadable.timeToLive : 0 }
  )
  // An unknown job has no elements, no log and no history, but is not the same as a job that has none.
  const ofJob = <A>(id: JobId.JobId, read: Effect.Effect<A, JobStoreError>) =>
    Effect.mapError(Effect.andThen(manager.get(id), read), notFoundOrFailed)
  return {
    list: Effect.fnUntraced(function*({ before, limit = Api.usual.jobs, name, state, ...others }: Api.ListQuery) {
      const filter = {
        ...others,
        states: listOf(state),
        names: listOf(name),
        before: before === undefined ? undefined : fromCursor(before)
      }
      const { last, shown } = page(yield* manager.overview({ ...filter, limit: limit + 1 }), limit)
      return {
        jobs: shown.map((one) => ApiRows.job(one, knowledge)),
        unreadable: yield* Cache.get(broken, { ...filter, limit }),
        next: last === undefined ? null : cursorOf(last.record),
        counts: { ...yield* manager.counts }
      }
    }, Effect.mapError(storeFailed)),
    detail: (id: JobId.JobId) =>
      Effect.mapBoth(manager.status(id), {
        onFailure: notFoundOrFailed,
        onSuccess: (status) => ApiRows.detail(status, knowledge)
      }),
    children: Effect.fnUntraced(
      function*(id: JobId.JobId, { before, limit = Api.usual.children, state }: Api.ChildQuery) {
        yield* manager.get(id)
        const filter = {
          parent: id,
          states: listOf(state),
          before: before === undefined ? undefined : fromCursor(before)
        }
        const { last, shown } = page(yield* manager.overview({ ...filter, limit: limit + 1 }), limit)
        const counts = yield* manager.childCounts([id, ...shown.map(({ record }) => record.id)])
        return {
          jobs: shown.map((one) => ApiRows.child(one, counts.get(one.record.id), knowledge)),
          next: last === undefined ? null : cursorOf(last.record),
          counts: { ...counts.get(id) }
        }
      },
      Effect.mapError(notFoundOrFailed)
    ),
    history: (id: JobId.JobId) => ofJob(id, manager.history(id)),
    tasks: Effect.fnUntraced(function*(id: JobId.JobId) {
      const status = yield* manager.status(id)
      return ApiTimes.tasks(status, yield* manager.tasks(id))
    }, Effect.mapError(notFoundOrFailed)),
    items: (id: JobId.JobId, { after = 0, cause, limit = Api.usual.items, outcome }: Api.ItemQuery) => {
      const tags = listOf(outcome) ?? ["Failed"]
      const read = manager.outcomePage(id, { tags, cause, after, limit: limit + 1 })
      return ofJob(id, read).pipe(Effect.map((found) => {
        const { last, shown } = page(found, limit)
        return { items: shown.map(ApiRows.item), next: last?.[0] ?? null }
      }))
    },
    log: (id: JobId.JobId, after = 0) =>
      Effect.map(
        ofJob(id, Stream.runCollect(manager.logs(id))),
        (found) => found.filter(({ seq }) => seq > after).map(ApiRows.logLine)
      )
  }
})

const asking = Effect.gen(function*() {
  const manager = yield* JobManager
  const { carryOut, knowledge } = yield* ServerProgram
  const ask = (action: Api.Action) => (id: JobId.JobId) =>
    manager[action](id).pipe(
      Effect.as(null),
      Effect.catch(({ message }) => Effect.succeed(printable(message))),
      Effect.map((refused): Api.Answer => ({ id, refused }))
    )
  return {
    ask: Effect.fnUntraced(function*(action: Api.Action, ids: ReadonlyArray<JobId.JobId>) {
      const answers = yield* Effect.forEach(ids, ask(action))
      yield* carryOut(answers.flatMap(({ id, refused }) => refused === null ? [id] : []))
      return answers
    }),
    retry: (id: JobId.JobId, only: Api.Choice) => Effect.mapError(manager.retry(id, only), whyNot),
    set: Effect.fnUntraced(function*(id: JobId.JobId, { priority, ...limits }: Api.Settings) {
      const { name } = yield* Effect.mapError(manager.get(id), notFoundOrFailed)
      if ((limits.bytesPerSecond ?? null) !== null && !isThrottled(name, knowledge.hasCode(name))) {
        return yield* new Api.Refused({
          message: `Job ${id} is of the type "${printable(name)}", which has no bandwidth that could be limited`
        })
      }
      const changes: JobChanges = {
        ...priority === undefined ? {} : { priority: JobPriority.numbers[priority] },
        limits
      }
      yield* Effect.mapError(manager.set(id, changes), whyNot)
    }),
    prune: (olderThanMillis: number) =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => manager.prune(now - olderThanMillis)).pipe(
        Effect.map((removed) => ({ removed })),
        Effect.mapError(storeFailed)
      )
  }
})

const jobs = HttpApiBuilder.group(
  Api.Api,
  "jobs",
  Effect.fnUntraced(function*(handlers) {
    const { children, detail, history, items, list, log, tasks } = yield* looking
    const { ask, prune, retry, set } = yield* asking
    const manager = yield* JobManager
    const events = yield* ChangeEvents.make
    return handlers.handleAll({
      // It is as its schema would encode it, which would take a quarter of what a list takes.
      list: ({ query }) =>
        Effect.map(list(query), (page: typeof Api.JobPage.Encoded) => HttpServerResponse.jsonUnsafe(page)),
      detail: ({ params: { id } }) => detail(id),
      children: ({ params: { id }, query }) => children(id, query),
      history: ({ params: { id } }) => history(id),
      tasks: ({ params: { id } }) => tasks(id),
      items: ({ params: { id }, query }) => items(id, query),
      log: ({ params: { id }, query }) => log(id, query.after),
      ask: ({ payload: { action, ids } }) => ask(action, ids),
      retry: ({ params: { id }, payload }) => retry(id, payload),
      set: ({ params: { id }, payload }) => set(id, payload),
      prune: ({ payload: { olderThanMillis } }) => prune(olderThanMillis),
      limits: () => Effect.provideService(Effect.mapError(CommonLimits.list, storeFailed), JobManager, manager),
      setLimit: ({ payload }) =>
        Effect.provideService(Effect.mapError(CommonLimits.set(payload), storeFailed), JobManager, manager),
      events: () => Effect.succeed(events)
    })
  })
)

const server = HttpApiBuilder.group(
  Api.Api,
  "server",
  Effect.fnUntraced(function*(handlers) {
    const { about, examination } = yield* ServerProgram
    const { processes } = yield* JobManager
    return handlers.handleAll({
      about: () => Effect.succeed(about),
      doctor: () => examination,
      processes: () =>
        Effect.mapBoth(processes, { onFailure: storeFailed, onSuccess: (all) => all.map(ApiTimes.process) })
    })
  })
)

/** Says what is wrong with a request. What is wrong with an answer is a mistake of this program. */
const explained = <E>(error: E): Effect.Effect<never, E | Api.BadRequest> =>
  HttpApiSchemaError.is(error) && error.kind !== "Body" && error.kind !== "ResponseHeaders"
    ? Effect.fail(new Api.BadRequest({ message: printable(`${error.kind}: ${error.cause.message}`) }))
    : Effect.fail(error)

/**
 * Refuses what the page of another site has a browser ask, with whatever cookies the browser has for this one. A
 * browser sends no JSON for another site without asking first, but it sends bodies without a type.
 */
const refusesForeign = Effect.map(HttpServerRequest.HttpServerRequest, ({ headers }) => {
  if (Guard.isForeign(headers)) return new Api.Foreign({ message: "Requests of other sites are refused" })
  return /^application\/json\b/i.test(headers["content-type"] ?? "")
    ? undefined
    : new Api.BadRequest({ message: "A body has to be sent as application/json" })
})

const access = Layer.effect(
  Api.Access,
  Effect.map(
    ServerProgram,
    ({ about: { isReadOnly } }) =>
      Api.Access.of(Effect.fnUntraced(function*(answer, { endpoint: { method } }) {
        if (method !== "GET") {
          if (isReadOnly) return yield* new Api.ReadOnly({ message: "Jobs are only shown here (--read-only)" })
          const refusal = yield* refusesForeign
          if (refusal !== undefined) return yield* refusal
        }
        return HttpServerResponse.setHeaders(yield* Effect.catch(answer, explained), Page.headers)
      }))
  )
)

/** Layer with the handlers of the API. */
export const layer = HttpApiBuilder.layer(Api.Api, { openapiPath: "/api/openapi.json" }).pipe(
  Layer.provide([jobs, ScheduleHandlers.schedules, server]),
  Layer.provide(access)
)

/**
 * Crawls a site: the start page, and every page that a crawled page leads to. At most 50 pages begin per second, and 8
 * pages run at the same time.
 *
 * Work finds more work. Each level of the site is a fan-out over a table. One transaction records pages and writes
 * their links to this table. So each page is fetched once, even after a kill. Only the few pages without a recorded
 * answer are fetched again. A page that has failed three times has a row. Once a crawl is over, the next run crawls all
 * pages anew, because any page may have new links by then.
 *
 * `npx node --conditions=@fanout/source examples/crawl.ts http://localhost:8080/ crawl.db`
 */
import type * as FanOut from "@fanout/core/FanOut"
import * as Job from "@fanout/core/Job"
import * as JobManager from "@fanout/core/JobManager"
import * as Fanout from "@fanout/core/node"
import * as Source from "@fanout/core/Source"
import * as Task from "@fanout/core/Task"
import * as TaskDispatcher from "@fanout/core/TaskDispatcher"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as SqlClient from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"

const [, , start = "http://localhost:8080/", filename = "crawl.db"] = process.argv
const levels = 20

class PageFailed extends Schema.TaggedError<PageFailed>("crawl/PageFailed")("PageFailed", { why: Schema.String }) {
  override get message(): string {
    return this.why
  }
}

const FetchPage = Task.make("crawl/FetchPage", {
  payload: { url: Schema.String },
  success: Schema.Struct({ title: Schema.String, links: Schema.Array(Schema.String) }),
  error: PageFailed,
  key: ({ url }) => url,
  pool: "network",
  timeout: "10 seconds",
  retry: Schedule.exponential("100 millis").pipe(Schedule.upTo({ times: 2 }))
})
class Tasks extends RpcGroup.make(FetchPage) {}

/** The links to pages of the same site, each without its `#` and the text behind. */
const linksOf = (html: string, page: string): ReadonlyArray<string> => {
  const links = Array.from(html.matchAll(/<a\s[^>]*href="([^"#]+)/gi), ([, link = ""]) => link)
    .filter((link) => URL.canParse(link, page)).map((link) => new URL(link, page))
    .filter(({ origin }) => origin === new URL(page).origin)
  return Array.from(new Set(links.map(String)))
}

const Handlers = Tasks.toLayer(Effect.map(HttpClient.HttpClient, (client) => ({
  "crawl/FetchPage": ({ url }) =>
    HttpClient.filterStatusOk(client).get(url).pipe(
      Effect.flatMap(({ text }) => text),
      Effect.map((html) => ({ title: /<title>([^<]*)/i.exec(html)?.[1] ?? "", links: linksOf(html, url) })),
      Effect.mapError(({ message }) => new PageFailed({ why: message }))
    )
}))).pipe(Layer.provide(FetchHttpClient.layer))

type Fetched = FanOut.Ended<Task.Payload<typeof FetchPage>, Task.Success<typeof FetchPage>>

const Crawl = Job.make("crawl/Crawl", {
  payload: Schema.Struct({ start: Schema.String }),
  success: Schema.Struct({ fetched: Schema.Natural, failed: Schema.Natural }),
  idempotencyKey: ({ start }) => start
})

const crawl = Effect.fnUntraced(function*(start: string) {
  const sql = yield* SqlClient.SqlClient
  const { fanOut } = yield* TaskDispatcher.TaskDispatcher
  yield* sql`CREATE TABLE IF NOT EXISTS pages (
    id INTEGER PRIMARY KEY, url TEXT NOT NULL UNIQUE, level INTEGER NOT NULL, title TEXT)`
  yield* sql`INSERT INTO pages (url, level) VALUES (${start}, 0) ON CONFLICT DO NOTHING`

  /** The pages of a level, in the order of their ids. The level before has ended, so all pages are in the table. */
  const pages = (level: number) =>
    Source.map(
      Source.paged(
        Schema.Int,
        (after, limit) =>
          sql<{ id: number; url: string }>`SELECT id, url FROM pages
            WHERE level = ${level} AND id > ${Option.getOrElse(after, () => 0)} ORDER BY id LIMIT ${limit}`,
        ({ id }) => id
      ),
      ({ url }) => ({ url })
    )

  const record = (level: number) => (fetched: ReadonlyArray<Fetched>) =>
    Effect.forEach(fetched, ({ cursor, value }) =>
      Option.match(value, {
        onNone: () => Effect.void,
        onSome: ({ links, title }) =>
          Effect.andThen(
            sql`UPDATE pages SET title = ${title} WHERE id = ${Number(cursor)}`,
            Effect.forEach(
              links,
              (url) => sql`INSERT INTO pages (url, level) VALUES (${url}, ${level + 1}) ON CONFLICT DO NOTHING`
            )
          )
      }), { discard: true })

  const sum = { fetched: 0, failed: 0 }
  for (let level = 0; level < levels; level++) {
    const options = { concurrency: 16, onCommit: record(level) }
    const { done, failed } = yield* fanOut(`level ${level}`, FetchPage, pages(level), options)
    if (done + failed === 0) break
    sum.fetched += done
    sum.failed += failed
  }
  return sum
})

const Program = Crawl.toLayer(({ start }) =>
  crawl(start).pipe(
    // The limits hold for all levels together. A further attempt of a page does not count as one of the 50.
    Effect.provide(TaskDispatcher.layerLimited({ tasksPerSecond: 50, permits: { network: 8 } })),
    Effect.catchTag("SqlError", Effect.die)
  )
).pipe(Layer.provide(Handlers))

const Runtime = Fanout.layer({ filename, jobs: [Crawl] }).pipe(
  Layer.provide(Program),
  Layer.provide(Fanout.layerSqlClient({ filename }))
)

const main = Effect.gen(function*() {
  const manager = yield* JobManager.JobManager
  const job = yield* Crawl.start({ start })
  if ((yield* manager.get(job.id)).state._tag === "Paused") yield* manager.resume(job.id)
  yield* Console.log(job.started ? "Started" : "Going on")
  const { failed, fetched } = yield* job.await
  yield* Console.log(`${fetched} pages, ${failed} failed`)
  yield* Stream.runForEach(manager.outcomes(job.id, ["Failed"]), ({ key }) => Console.log(`failed: ${key}`))
})

await Effect.runPromise(Effect.provide(main, Runtime))

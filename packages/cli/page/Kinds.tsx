/**
 * Shows how long the tasks of a job waited and ran, kind by kind, and the pools, threads and workers that they use.
 */
import { Blank, Broken, Waiting } from "./Blank.tsx"
import { type Detail, type TaskTimes, taskTimes } from "./client.ts"
import { useLive } from "./live.ts"
import { isOver } from "./places.ts"
import { PoolTable, ThreadTable, WorkerTable } from "./PoolTables.tsx"
import { sampleMillis } from "./rates.ts"
import { Section } from "./Section.tsx"
import { count, counted, printable, span } from "./shown.ts"

type Kind = TaskTimes["kinds"][number]
type Times = Kind["waiting"]
type Bounds = TaskTimes["upperMillis"]

/** The buckets that are drawn, from the first to the last: the same for all kinds, so that they can be compared. */
interface Buckets {
  readonly first: number
  readonly last: number
}

/** Fewer would make bars of a few times as wide as plots. */
const leastBuckets = 12

const bucketsOf = (kinds: ReadonlyArray<Kind>): Buckets => {
  const all = kinds.flatMap(({ running, waiting }) => [waiting.counts, running.counts])
  const first = Math.min(...all.map((counts) => counts.findIndex((one) => one > 0)))
  return { first, last: Math.max(first + leastBuckets, ...all.map(({ length }) => length)) - 1 }
}

/** Times of a bucket in words. */
const rangeOf = (bucket: number, upper: Bounds): string => {
  const [from, to] = [upper[bucket - 1] ?? 0, upper[bucket]]
  return to === undefined ? `more than ${span(from)}` : `up to ${span(to)}`
}

/** Upper bounds of what most attempts took, as a sentence. */
const told = ({ p50, p95, p99 }: Times, verb: string, upper: Bounds): string => {
  const within = (millis: number | null) =>
    millis === null ? `more than ${span(upper.at(-1) ?? 0)}` : `at most ${span(millis)}`
  return p50 === p99
    ? `99 % ${verb} ${within(p99)}.`
    : `Half of them ${verb} ${within(p50)}, 95 % ${within(p95)}, 99 % ${within(p99)}.`
}

interface BarsProperties {
  readonly buckets: Buckets
  readonly times: Times
  readonly title: string
  readonly upper: Bounds
  readonly verb: string
}

const Bars = ({ buckets: { first, last }, times, title, upper, verb }: BarsProperties) => {
  const most = Math.max(...times.counts)
  const sentence = told(times, verb, upper)
  return (
    <figure>
      <figcaption>
        <strong>{title}</strong> {sentence}
      </figcaption>
      <svg
        role="img"
        aria-label={`${title}: ${sentence}`}
        viewBox={`0 0 ${last - first + 1} 1`}
        preserveAspectRatio="none"
      >
        {times.counts.map((attempts, bucket) => {
          const height = Math.max(attempts / most, 0.03)
          return attempts > 0 && (
            <rect key={bucket} x={bucket - first + 0.05} y={1 - height} width={0.9} height={height}>
              <title>{rangeOf(bucket, upper)}: {count(attempts)}</title>
            </rect>
          )
        })}
      </svg>
      <p class="ends">
        <span>{span(upper[first - 1] ?? 0)}</span>
        <span>{upper[last] === undefined ? "longer" : span(upper[last])}</span>
      </p>
    </figure>
  )
}

const Numbers = ({ kind: { running, waiting }, upper }: { readonly kind: Kind; readonly upper: Bounds }) => {
  const all = Array.from({ length: upper.length + 1 }, (_, bucket) => ({
    range: rangeOf(bucket, upper),
    waited: waiting.counts[bucket] ?? 0,
    ran: running.counts[bucket] ?? 0
  }))
  return (
    <details>
      <summary>Numbers</summary>
      <table>
        <thead>
          <tr>
            <th>Time</th>
            <th class="number">Waited</th>
            <th class="number">Ran</th>
          </tr>
        </thead>
        <tbody>
          {all.filter(({ ran, waited }) => ran + waited > 0).map(({ ran, range, waited }) => (
            <tr key={range}>
              <th scope="row">{range}</th>
              <td class="number">{count(waited)}</td>
              <td class="number">{count(ran)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}

/** All that is known of the tasks of a job. */
export const TaskCharts = ({ kinds, pools, threads, upperMillis, workers }: TaskTimes) => {
  const buckets = bucketsOf(kinds)
  return (
    <>
      {kinds.toSorted((left, right) => right.attempts - left.attempts).map((kind) => (
        <section key={kind.name} class="kind">
          <h2>
            <code>{printable(kind.name)}</code> <span class="nothing">{counted(kind.attempts, "attempt")}</span>
          </h2>
          <div class="pair">
            <Bars buckets={buckets} times={kind.waiting} title="Waiting." upper={upperMillis} verb="waited" />
            <Bars buckets={buckets} times={kind.running} title="Running." upper={upperMillis} verb="ran" />
          </div>
          <Numbers kind={kind} upper={upperMillis} />
        </section>
      ))}
      {pools.length > 0 && (
        <Section title="Pools of its process">
          <PoolTable pools={pools} />
        </Section>
      )}
      {threads.length > 0 && (
        <Section title="Threads of its process">
          <ThreadTable threads={threads} />
        </Section>
      )}
      {workers.length > 0 && (
        <section>
          <h2>Workers of its cluster</h2>
          <WorkerTable workers={workers} />
        </section>
      )}
    </>
  )
}

export const Kinds = ({ job }: { readonly job: Detail }) => {
  const { error, value } = useLive(`${job.id} tasks`, (signal) => taskTimes(job.id, signal), sampleMillis)
  if (value === undefined) return error === undefined ? <Waiting /> : <Broken error={error} />
  if (value.kinds.length + value.pools.length > 0) return <TaskCharts {...value} />
  return (
    <Blank title={isOver(job) ? "Nothing is known of its tasks." : "Nothing is known of its tasks yet."}>
      <p>A job tells of them each second. One that is over within a second tells nothing.</p>
    </Blank>
  )
}

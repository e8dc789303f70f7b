/**
 * Shows the list of jobs, with its filters, which are in the address.
 */
import { useLayoutEffect } from "preact/hooks"
import { server } from "./asking.ts"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import type { Query } from "./client.ts"
import { CopyText } from "./CopyText.tsx"
import { Find } from "./Find.tsx"
import { listed } from "./Foot.tsx"
import { JobRow } from "./JobRow.tsx"
import { Prune } from "./Prune.tsx"
import { type Route, to, withQuery } from "./route.ts"
import { token } from "./session.ts"
import { count, counted, printable, word } from "./shown.ts"
import { SignOf, states, wordOf } from "./StateSign.tsx"
import { type Steady, useSteady } from "./steady.ts"

const spans: Readonly<Record<string, readonly [string, number]>> = {
  "1h": ["the last hour", 3_600_000],
  "24h": ["the last 24 hours", 86_400_000],
  "7d": ["the last 7 days", 7 * 86_400_000],
  "30d": ["the last 30 days", 30 * 86_400_000]
}

/** The same for a while, so that the server is asked the same. */
const stepMillis = 60_000

/** What the address asks the server for. A length of time becomes a moment when it is asked. */
const queryOf = (query: URLSearchParams): Query => {
  const span = spans[query.get("since") ?? ""]
  return {
    state: query.getAll("state"),
    name: query.get("name"),
    idPrefix: query.get("id"),
    parent: query.get("parent"),
    schedule: query.get("schedule"),
    before: query.get("before"),
    since: span === undefined ? undefined : Math.floor(Date.now() / stepMillis) * stepMillis - span[1]
  }
}

interface Properties {
  readonly route: Route
}

/** Counts of jobs by state; each is a filter. */
const States = ({ counts, route }: Properties & { readonly counts: Readonly<Record<string, number>> }) => {
  const chosen = route.query.get("state")
  const all = Object.values(counts).reduce((sum, many) => sum + many, 0)
  return (
    <nav class="states" aria-label="Jobs by state">
      <a href={withQuery(route, { state: null, before: null })} aria-current={chosen === null ? "true" : undefined}>
        all <span class="number">{count(all)}</span>
      </a>
      {states.map((state) => (
        <a
          key={state}
          href={withQuery(route, { state, before: null })}
          aria-current={chosen === state ? "true" : undefined}
          class={(counts[state] ?? 0) === 0 ? "none" : ""}
        >
          <SignOf state={state} />
          {wordOf(state)} <span class="number">{count(counts[state] ?? 0)}</span>
        </a>
      ))}
    </nav>
  )
}

const Since = ({ route }: Properties) => (
  <label class="since">
    <span class="label">Created in</span>
    <select
      value={route.query.get("since") ?? ""}
      onChange={({ currentTarget }) => location.hash = withQuery(route, { since: currentTarget.value, before: null })}
    >
      <option value="">all time</option>
      {Object.entries(spans).map(([key, [words]]) => <option key={key} value={key}>{words}</option>)}
    </select>
  </label>
)

const named = ["id", "name", "parent", "schedule"] as const

/** Filters that are neither counts nor fields, each with a way to remove it. */
const Named = ({ route }: Properties) => {
  const set = named.flatMap((name) => route.query.getAll(name).map((value) => [name, value] as const))
  return set.length === 0 ? null : (
    <p class="named">
      {set.map(([name, value]) => (
        <a key={name} href={withQuery(route, { [name]: null, before: null })} title="Remove this filter">
          {name === "parent" ? "started by" : name === "id" ? "id begins with" : name} {printable(value)} ×
        </a>
      ))}
    </p>
  )
}

/** Only who has a token has a server of `fanout`: an application calls its database as it likes. */
const Empty = ({ isFiltered }: { readonly isFiltered: boolean }) =>
  isFiltered
    ? (
      <Blank title="No job matches.">
        <p>
          <a href={to(["jobs"])}>Show all jobs</a>
        </p>
      </Blank>
    )
    : (
      <Blank title="There are no jobs yet.">
        {token !== null && server.value !== undefined && (
          <>
            <p>This makes one, and it appears here:</p>
            <CopyText text={`fanout copy --db ${word(server.value.database)} -T /usr/share /tmp/fanout-demo`} />
          </>
        )}
      </Blank>
    )

/** Says what is new, and shows it when somebody asks for it. */
const News = ({ steady: { fresh, gone, renew } }: { readonly steady: Steady }) => {
  const words = [fresh > 0 && `${count(fresh)} new`, gone > 0 && `${count(gone)} that no longer match`]
    .filter((word) => word !== false)
  return (
    <p class="news" role="status">
      {words.length > 0 && (
        <button type="button" id="news" onClick={renew}>
          {words.join(", ")}: show the list as it is now
        </button>
      )}
    </p>
  )
}

export const JobsPage = ({ route }: Properties) => {
  const key = route.query.toString()
  const steady = useSteady(key, queryOf(route.query))
  const { error, isStale, next, rows, value } = steady
  useLayoutEffect(() => {
    listed.value = rows
  })
  const isFiltered = [...named, "state", "since", "before"].some((name) => route.query.has(name))
  const canSelect = server.value?.isReadOnly === false
  return (
    <main>
      <h1 class="unseen">Jobs</h1>
      <States counts={value?.counts ?? {}} route={route} />
      <div class="filters">
        <Find route={route} />
        <Since route={route} />
        <Named route={route} />
        <News steady={steady} />
      </div>
      {value === undefined && (error === undefined ? <Waiting /> : <Broken error={error} />)}
      {value !== undefined && rows.length === 0 && <Empty isFiltered={isFiltered} />}
      <ul class={`jobs ${canSelect ? "can-select" : ""}`} aria-label="Jobs" aria-busy={isStale}>
        {rows.map((job) => <JobRow key={job.id} job={job} canSelect={canSelect} />)}
      </ul>
      {value?.unreadable.map(({ id, why }) => (
        <p key={id} class="hint bad">
          Job {printable(id)} can't be read: {printable(why)}
        </p>
      ))}
      {(next !== null || route.query.has("before")) && (
        <nav class="pages" aria-label="Pages">
          {route.query.has("before") && <a href={withQuery(route, { before: null })}>← the newest</a>}
          {next !== null && <a href={withQuery(route, { before: next })}>older →</a>}
          <span>{counted(rows.length, "job")} on this page</span>
        </nav>
      )}
      {canSelect && rows.length > 0 && <Prune />}
    </main>
  )
}

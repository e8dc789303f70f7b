/**
 * Shows one job: what it is and does, its figures, and below them one of its pages.
 */
import type { ComponentChildren } from "preact"
import { askOf, server } from "./asking.ts"
import { Blank, Broken, Waiting } from "./Blank.tsx"
import * as Client from "./client.ts"
import type { Action, Detail, History } from "./client.ts"
import { Elements } from "./Elements.tsx"
import { Figures } from "./Figures.tsx"
import { sinceOf } from "./JobRow.tsx"
import { Kinds } from "./Kinds.tsx"
import { useLive } from "./live.ts"
import { LogLines } from "./LogLines.tsx"
import { Overview } from "./Overview.tsx"
import { isOver } from "./places.ts"
import { Prose } from "./Prose.tsx"
import { sampleMillis } from "./rates.ts"
import { Raw } from "./Raw.tsx"
import { type Route, to } from "./route.ts"
import { ShareBar } from "./ShareBar.tsx"
import { count, printable } from "./shown.ts"
import { StateSign } from "./StateSign.tsx"
import { Lasting, Moment } from "./Time.tsx"
import { Tree } from "./Tree.tsx"

interface Properties {
  readonly job: Detail
}

/** Its state in a sentence: since when, by whom, and what is to be known about that. */
export const Sentence = ({ job }: Properties) => {
  const { attempt, only, owner } = job
  return (
    <p class="sentence">
      <StateSign job={job} />
      {isOver(job)
        ? (
          <span>
            since <Moment at={sinceOf(job)} />
          </span>
        )
        : (
          <span>
            for <Lasting since={sinceOf(job)} />, since <Moment at={sinceOf(job)} />
          </span>
        )}
      {owner !== null && (
        <span title={printable(`${owner.process} on ${owner.machine}`)}>
          by process {printable(owner.process.replace(/-.*/, ""))}
        </span>
      )}
      {attempt > 1 && <span>attempt {count(attempt)}{only !== null && `, ${printable(only)}`}</span>}
    </p>
  )
}

const actions: ReadonlyArray<Action> = ["pause", "resume", "retry", "cancel"]

const labels: Readonly<Record<Action, string>> = {
  pause: "Pause",
  resume: "Resume",
  retry: "Retry what failed",
  cancel: "Cancel…"
}

const Actions = ({ job }: Properties) =>
  server.value?.isReadOnly === false
    ? (
      <div class="buttons">
        {actions.filter((action) => job.actions.includes(action)).map((action) => (
          <button
            key={action}
            type="button"
            class={action === "cancel" ? "danger" : ""}
            onClick={() => askOf(action, [job.id], printable(job.title))}
          >
            {labels[action]}
          </button>
        ))}
      </div>
    )
    : null

/** What to do next, and whether this process would run the job. */
const Prospect = ({ job }: Properties): ComponentChildren => {
  const waits = job.isOwnerDead || job.state === "Paused" || job.state === "Queued"
  const isRunHere = server.value?.works === true && job.hasCode
  return waits && isRunHere
    ? <p class="hint">{job.state === "Paused" ? "Once resumed, it" : "It"} is run by the process of this page.</p>
    : job.next !== "" && (
      <p class="hint">
        <Prose text={job.next} />
      </p>
    )
}

const tabs = [
  ["", "Overview"],
  ["failed", "Failures"],
  ["children", "Children"],
  ["tasks", "Tasks"],
  ["log", "Log"],
  ["raw", "Payload"]
] as const

const childrenOf = ({ children }: Detail): number => Object.values(children).reduce((sum, many) => sum + many, 0)

const Tabs = ({ job, tab }: Properties & { readonly tab: string }) => (
  <nav class="tabs" aria-label="Pages of this job">
    {tabs.filter(([name]) => name !== "children" || tab === name || childrenOf(job) > 0).map(([name, words]) => (
      <a
        key={name}
        href={to(["jobs", job.id, ...name === "" ? [] : [name]])}
        aria-current={tab === name ? "page" : undefined}
      >
        {words}
        {name === "failed" && job.progress.failed > 0 && <span class="number">{count(job.progress.failed)}</span>}
        {name === "children" && <span class="number">{count(childrenOf(job))}</span>}
      </a>
    ))}
  </nav>
)

interface ShownProperties extends Properties {
  readonly history: History | undefined
  readonly route: Route
  readonly tab: string
}

const Shown = ({ history, job, route, tab }: ShownProperties) => {
  if (tab === "failed") return <Elements job={job} route={route} />
  if (tab === "children") return <Tree id={job.id} counts={job.children} />
  if (tab === "tasks") return <Kinds job={job} />
  if (tab === "log") return <LogLines id={job.id} />
  return tab === "raw" ? <Raw job={job} /> : <Overview job={job} history={history} />
}

export const JobPage = ({ route }: { readonly route: Route }) => {
  const [, id = "", tab = ""] = route.parts
  const { error, isStale, value: job } = useLive(id, (signal) => Client.detail(id, signal))
  const { value: history } = useLive(id, (signal) => Client.history(id, signal), sampleMillis)
  if (error instanceof Client.Refusal && error.status === 404) {
    return (
      <main>
        <h1>Job {printable(id)}</h1>
        <Blank title="There is no such job.">
          <p>
            It was removed, or it is in another store. <a href={to(["jobs"])}>Show all jobs</a>
          </p>
        </Blank>
      </main>
    )
  }
  if (job === undefined || isStale) {
    return (
      <main>
        <h1>Job {printable(id)}</h1>
        {error === undefined ? <Waiting /> : <Broken error={error} />}
      </main>
    )
  }
  return (
    <main class="one" data-id={job.id}>
      <div class="head">
        <div>
          <p class="crumbs">
            <a href={to(["jobs"])}>Jobs</a> / <code>{printable(job.id)}</code>
          </p>
          <h1>{printable(job.title)}</h1>
          <Sentence job={job} />
        </div>
        <Actions job={job} />
      </div>
      {job.error !== null && (
        <p class="hint bad">
          <Prose text={job.error} />
        </p>
      )}
      {job.warnings.map((warning) => <p key={warning} class="hint bad">{printable(warning)}</p>)}
      <Prospect job={job} />
      <Figures job={job} history={history} />
      {!isOver(job) && <ShareBar job={job} />}
      <Tabs job={job} tab={tab} />
      <Shown job={job} history={history} route={route} tab={tab} />
    </main>
  )
}

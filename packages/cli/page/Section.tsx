/**
 * Shows a part of a page below its title.
 */
import type { ComponentChildren } from "preact"

interface Properties {
  readonly title: string
  readonly children: ComponentChildren
}

export const Section = ({ children, title }: Properties) => (
  <section>
    <h2>{title}</h2>
    {children}
  </section>
)

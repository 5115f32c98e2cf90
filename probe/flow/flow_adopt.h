/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A worker takes over the flows of one before it. That one may have died at any instruction, or have written anywhere before it
 * did: nothing in the store is believed that can be checked, and what cannot be is harmless whatever it is.
 */
#ifndef PROBE_FLOW_ADOPT_H
#define PROBE_FLOW_ADOPT_H

struct flow_tracker;

/*
 * Ends what the other was in the middle of, then finds the flows of t->store and puts them into the table. t is otherwise empty. A
 * store that is new has none. What was found is in t->adopted. Returns 0 or -ENOMEM.
 */
int flow_adopt(struct flow_tracker *t);

#endif
